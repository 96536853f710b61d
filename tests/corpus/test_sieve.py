"""The sieve counts every row once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rookery.corpus.sieve import Sieve

STEPS = st.lists(
    st.tuples(st.sampled_from(["short", "copy", "flood"]), st.sets(st.integers(0, 19)))
)


@given(STEPS)
def test_every_row_is_in_or_has_exactly_the_reason_that_came_first(steps):
    sieve = Sieve(20)
    first = {}
    for reason, rows in steps:
        sieve.drop(reason, np.array(sorted(rows), dtype=np.int64))
        for row in rows:
            first.setdefault(row, reason)
    assert {row: reason for reason, rows in sieve.dropped.items() for row in rows.tolist()} == first
    assert len(sieve.rows) + sum(len(rows) for rows in sieve.dropped.values()) == 20
    assert sieve.mask.to_pylist() == [row not in first for row in range(20)]
