"""What happened, and what is owed for it?"""
