"""How is anything made, stored and trusted? Standard library and numpy only; it knows no post and
no tensor.
"""
