"""What do the posts answer, and which of them say so?"""
