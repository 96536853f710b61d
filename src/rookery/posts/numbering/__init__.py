"""Which number does a post have, and how are posts read in the order of their numbers?"""
