"""How likely is a click?"""
