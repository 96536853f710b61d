"""How do people and programs reach it, and who may?"""
