"""The command line: thin verbs that read options, call one function and show its result.

No work is done here: a verb belongs to the package of the same name. `main.py` puts the verbs
together; `options.py` and `show.py` hold what they share.
"""
