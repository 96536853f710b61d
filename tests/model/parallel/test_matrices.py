"""Which process makes which matrix whole."""

from hypothesis import given
from hypothesis import strategies as st

from rookery.model.parallel.matrices import divided

costs = st.dictionaries(st.text("abc.", min_size=1), st.integers(1, 1000), max_size=30)


@given(costs, st.integers(1, 8))
def test_every_matrix_has_one_owner(costs, count):
    owned = divided(costs, count)
    assert len(owned) == count
    assert sorted(name for names in owned for name in names) == sorted(costs)


@given(costs, st.integers(1, 8))
def test_no_owner_has_more_than_a_fair_part_and_one_matrix(costs, count):
    loads = [sum(costs[name] for name in names) for names in divided(costs, count)]
    assert max(loads) <= sum(costs.values()) / count + max(costs.values(), default=0)


@given(costs, st.integers(1, 8))
def test_all_processes_come_to_the_same_division(costs, count):
    assert divided(dict(sorted(costs.items())), count) == divided(
        dict(sorted(costs.items(), reverse=True)), count
    )
