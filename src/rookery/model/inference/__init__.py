"""How does a trained network write?"""
