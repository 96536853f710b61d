Grailbird.data.tweets_2013_01 = 
 [ {
  "source" : "web",
  "entities" : { "user_mentions" : [ ], "media" : [ ], "hashtags" : [ ], "urls" : [ ] },
  "geo" : { },
  "id_str" : "290000000000000000",
  "text" : "only those who follow me read this",
  "id" : 290000000000000000,
  "in_reply_to_status_id_str" : "289999999999999999",
  "created_at" : "2013-01-12 09:00:00 +0000",
  "user" : { "screen_name" : "rook_of_ghent", "protected" : true, "id_str" : "1000000001" }
} ]
