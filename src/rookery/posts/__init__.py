"""What did people write, and what may we do with it?"""
