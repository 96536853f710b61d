"""How do programs reach it?"""
