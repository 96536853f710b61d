"""Who pays for which place, why this one, and is the bill right?"""
