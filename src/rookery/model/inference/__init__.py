"""How does a trained network generate text?"""
