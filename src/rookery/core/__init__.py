"""How is anything made, stored and trusted? Standard library and numpy only; knows no post and no
tensor.
"""
