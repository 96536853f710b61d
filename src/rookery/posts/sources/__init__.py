"""Which format is a file in, and which posts does it hold?

One module for each source of posts. `formats.py` chooses the module of a file. A new source is
described there; begin with `reddit.py` for an example of a short one.
"""
