window.__THAR_CONFIG = {
  "userInfo" : { "accountId" : "1000000001", "userName" : "rook_of_ghent", "displayName" : "A Rook" },
  "archiveInfo" : { "sizeBytes" : "1234", "generationDate" : "2023-08-31T11:33:22.222Z", "isPartialArchive" : false, "maxPartSizeBytes" : "53687091200" },
  "dataTypes" : {
    "account" : { "files" : [ { "fileName" : "data/account.js", "globalName" : "YTD.account.part0", "count" : "1" } ] },
    "deletedTweetHeaders" : { "files" : [ { "fileName" : "data/deleted-tweet-headers.js", "globalName" : "YTD.deleted_tweet_headers.part0", "count" : "1" } ] },
    "protectedHistory" : { "files" : [ { "fileName" : "data/protected-history.js", "globalName" : "YTD.protected_history.part0", "count" : "0" } ] },
    "tweets" : { "mediaDirectory" : "data/tweets_media", "files" : [ { "fileName" : "data/tweets.js", "globalName" : "YTD.tweets.part0", "count" : "2" } ] },
    "twitterCircle" : { "mediaDirectory" : "data/twitter_circle_tweet_media", "files" : [ { "fileName" : "data/twitter-circle.js", "globalName" : "YTD.twitter_circle.part0", "count" : "1" } ] },
    "twitterCircleTweet" : { "mediaDirectory" : "data/twitter_circle_tweet_media", "files" : [ { "fileName" : "data/twitter-circle-tweet.js", "globalName" : "YTD.twitter_circle_tweet.part0", "count" : "1" } ] }
  }
}
