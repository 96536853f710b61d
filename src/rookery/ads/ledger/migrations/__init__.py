"""How stores of older releases become one of this?"""
