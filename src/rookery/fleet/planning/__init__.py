"""The parts of a plan: sizes, layouts with their memory and time, failures, the catalogue of GPUs.

`fleet/plan.py` puts them together.
"""
