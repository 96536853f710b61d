"""How well does a model predict texts that it has not seen?"""
