window.YTD.tweets.part0 = [
  {
    "tweet" : {
      "edit_info" : { "initial" : { "editTweetIds" : [ "1626922779105759235" ], "editableUntil" : "2023-02-18T13:03:11.000Z", "editsRemaining" : "5", "isEditEligible" : false } },
      "retweeted" : false,
      "source" : "<a href=\"https://mobile.twitter.com\" rel=\"nofollow\">Twitter Web App</a>",
      "entities" : { "hashtags" : [ ], "symbols" : [ ], "user_mentions" : [ ], "urls" : [ ] },
      "display_text_range" : [ "0", "22" ],
      "favorite_count" : "1",
      "id_str" : "1626922779105759235",
      "truncated" : false,
      "retweet_count" : "0",
      "id" : "1626922779105759235",
      "created_at" : "Sat Feb 18 12:33:11 +0000 2023",
      "favorited" : false,
      "full_text" : "a caw for everybody &amp; all",
      "lang" : "en"
    }
  },
  {
    "tweet" : {
      "retweeted" : false,
      "entities" : { "hashtags" : [ ], "symbols" : [ ], "user_mentions" : [ ], "urls" : [ ] },
      "favorite_count" : "0",
      "id_str" : "1626922779105759236",
      "retweet_count" : "0",
      "id" : "1626922779105759236",
      "created_at" : "Sat Feb 18 12:40:00 +0000 2023",
      "full_text" : "a caw for the circle",
      "lang" : "en"
    }
  }
]
