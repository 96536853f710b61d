"""In what order are posts shown, and how good is that order?"""
