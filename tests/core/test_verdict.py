"""Verdicts: nothing that was dropped goes uncounted."""

from hypothesis import given
from hypothesis import strategies as st

from rookery.core.verdict import KEEP, Drop, Tally

verdicts = st.lists(st.just(KEEP) | st.builds(Drop, st.sampled_from(["too_short", "spam", "copy"])))


def counted(items):
    tally = Tally()
    for verdict in items:
        tally.count(verdict)
    return tally


@given(verdicts)
def test_tally_counts_every_verdict_once(items):
    tally = counted(items)
    assert tally.kept + tally.dropped.total() == len(items)
    assert tally.dropped["spam"] == items.count(Drop("spam"))


@given(verdicts, verdicts)
def test_merging_two_tallies_counts_as_one(left, right):
    merged = counted(left)
    merged.merge(counted(right))
    assert merged.to_dict() == counted(left + right).to_dict()


def test_the_largest_reason_comes_first_and_zero_is_not_noted():
    tally = Tally()
    for reason, n in (("b", 1), ("a", 1), ("c", 5), ("none", 0)):
        tally.drop(reason, n)
    assert list(tally.to_dict()["dropped"].items()) == [("c", 5), ("a", 1), ("b", 1)]
