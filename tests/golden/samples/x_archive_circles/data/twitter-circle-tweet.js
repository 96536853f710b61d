window.YTD.twitter_circle_tweet.part0 = [
  {
    "tweet" : {
      "id_str" : "1626922779105759236",
      "id" : "1626922779105759236",
      "created_at" : "Sat Feb 18 12:40:00 +0000 2023",
      "full_text" : "a caw for the circle",
      "lang" : "en"
    }
  }
]
