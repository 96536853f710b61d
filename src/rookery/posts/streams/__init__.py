"""What does a live stream bring, and where does reading resume?"""
