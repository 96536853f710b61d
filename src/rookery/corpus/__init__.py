"""How do posts become training text?"""
