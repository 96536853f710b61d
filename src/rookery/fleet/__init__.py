"""What will this hardware do, how long, at what cost?"""
