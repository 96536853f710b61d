"""Who wins the place, and at what price?"""
