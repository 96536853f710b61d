"""What does a made-up platform look like? The people, posts and advertising of the built-in
demo.
"""
