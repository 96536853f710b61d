"""What does a live stream bring, and from where is it read on?"""
