window.YTD.twitter_circle.part0 = [
  {
    "twitterCircle" : {
      "id" : "1500000000000000000",
      "ownerUserId" : "1000000001",
      "createdAt" : "2022-08-30T12:00:00.000Z"
    }
  }
]
