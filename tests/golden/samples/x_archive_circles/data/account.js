window.YTD.account.part0 = [
  {
    "account" : {
      "email" : "rook@example.com",
      "createdVia" : "web",
      "username" : "rook_of_ghent",
      "accountId" : "1000000001",
      "createdAt" : "2012-06-23T13:04:14.000Z",
      "accountDisplayName" : "A Rook"
    }
  }
]
