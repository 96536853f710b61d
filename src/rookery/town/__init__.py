"""What does a synthetic platform look like?

The people, posts and advertising of the built-in demo. Begin with `posts.py`. Nothing here is read
by the other packages but the command line and the tests.
"""
