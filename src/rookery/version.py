"""The version of this release, alone in a module so that every package may read it."""

__version__ = "0.1.0"
