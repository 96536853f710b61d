window.YTD.deleted_tweet_headers.part0 = [
  {
    "tweet" : {
      "tweet_id" : "1626900000000000000",
      "user_id" : "1000000001",
      "created_at" : "Sat Feb 18 10:00:00 +0000 2023",
      "deleted_at" : "Sat Feb 18 11:00:00 +0000 2023"
    }
  }
]
