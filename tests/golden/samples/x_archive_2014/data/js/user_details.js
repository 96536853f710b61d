var user_details =  {
  "screen_name" : "rook_of_ghent",
  "full_name" : "A Rook",
  "bio" : "caw = caw",
  "id" : "1000000001",
  "created_at" : "2012-07-08 20:12:42 +0000"
}
