"""Which tokens does a training step see?"""
