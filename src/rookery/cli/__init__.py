"""What can I type? Thin verbs: each reads its options, calls one function of its package and shows
the result.
"""
