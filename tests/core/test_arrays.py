"""Laws of what numpy and Arrow have no word for."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.arrays import among, exchanged, is_among, looked_up, ranges

some = st.sets(st.integers(0, 30)).map(lambda numbers: np.array(sorted(numbers), dtype=np.uint64))


def test_ranges_lie_behind_each_other():
    assert ranges(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]


@given(some, some)
def test_a_value_is_among_the_known_when_it_is(values, known):
    assert among(values, known).tolist() == [value in known.tolist() for value in values.tolist()]


@given(some, some, some)
def test_what_goes_and_comes_leaves_what_sets_would_leave_sorted(known, gone, come):
    left = exchanged(known, gone, come)
    assert left.tolist() == sorted(set(known.tolist()) - set(gone.tolist()) | set(come.tolist()))
    assert left.dtype == np.uint64


@given(st.lists(st.text(max_size=2)), st.dictionaries(st.text(max_size=2), st.text()))
def test_names_are_looked_up_alike_whether_they_are_more_than_the_known_or_fewer(names, known):
    for column in (pa.array(names, pa.string()), pa.chunked_array([names], pa.string())):
        found = looked_up(column, known).to_pylist()
        assert found == [known.get(name) for name in names]
        assert is_among(column, known.keys()).to_pylist() == [name in known for name in names]
