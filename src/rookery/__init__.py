"""Rookery: a social platform's own generative AI, made of its own posts."""

__version__ = "0.1.0"
