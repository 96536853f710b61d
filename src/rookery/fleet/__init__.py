"""Planning a training run on a GPU cluster: what it takes in time, memory and money.

This is arithmetic and starts nothing. Start with `plan.py`.
"""
