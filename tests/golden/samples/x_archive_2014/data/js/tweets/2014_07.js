Grailbird.data.tweets_2014_07 = 
 [ {
  "source" : "\u003Ca href=\"http:\/\/twitter.com\" rel=\"nofollow\"\u003ETwitter Web Client\u003C\/a\u003E",
  "entities" : {
    "user_mentions" : [ ],
    "media" : [ ],
    "hashtags" : [ ],
    "urls" : [ ]
  },
  "geo" : {
    "type" : "Point",
    "coordinates" : [ 51.05, 3.72 ]
  },
  "id_str" : "494970488012414976",
  "text" : "Bread &amp; butter on the belfry",
  "id" : 494970488012414976,
  "created_at" : "2014-07-31 22:18:55 +0000",
  "user" : {
    "name" : "A Rook",
    "screen_name" : "rook_of_ghent",
    "protected" : false,
    "id_str" : "1000000001",
    "id" : 1000000001,
    "verified" : false
  }
}, {
  "source" : "web",
  "entities" : { "user_mentions" : [ ], "media" : [ ], "hashtags" : [ ], "urls" : [ ] },
  "geo" : { },
  "id_str" : "494853744925097984",
  "text" : "RT @a_crow: their words",
  "retweeted_status" : {
    "id_str" : "494353246921768960",
    "text" : "their words",
    "created_at" : "2014-07-24 16:58:56 +0000",
    "user" : { "screen_name" : "a_crow", "protected" : false, "id_str" : "1000000002" }
  },
  "id" : 494853744925097984,
  "created_at" : "2014-07-31 14:35:01 +0000",
  "user" : { "screen_name" : "rook_of_ghent", "protected" : false, "id_str" : "1000000001" }
} ]
