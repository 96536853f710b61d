"""Given words, which posts, in what order?"""
