"""How does a table become posts? Its bytes, its columns, what their values mean, and its rows.

`readers.py` yields rows, `columns.py` finds which column holds what, `visibility.py`, `ids.py`
and `times.py` each judge one kind of column by all its values, `judging.py` has them judge a file,
and `rows.py` makes posts. `sources/tabular.py` is the door.
"""
