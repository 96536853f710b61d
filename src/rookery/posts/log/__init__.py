"""How does the live log keep what it is told, and what was done about it?"""
