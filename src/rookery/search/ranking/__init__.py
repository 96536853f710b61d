"""In what order are they shown, and how good is that order?"""
