"""The order of documents: a shuffle for each epoch, the same from any position on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.corpus.shards import Shards
from rookery.model.data import order
from rookery.model.data.order import BEGINNING, Order, Position, shuffled

CONTEXT = 16


def shards_of(lengths) -> Shards:
    none = np.zeros(0, dtype=np.uint64)
    return Shards(none, np.cumsum([0, *lengths]), none, none, none, 5000, 0, 0)


def documents_of(
    shards: Shards, steps: int, begin: Position = BEGINNING, units_per_step: int = 4
) -> list[list[int]]:
    going = Order(shards, 3, CONTEXT, units_per_step, begin)
    return [going.take().document_S.tolist() for _ in range(steps)]


@given(st.integers(1, 3000), st.integers(0, 5))
def test_a_shuffle_has_every_number_once(count, seed):
    assert sorted(shuffled(np.arange(count), count, (seed,)).tolist()) == list(range(count))


def test_places_of_a_shuffle_do_not_depend_on_what_else_is_asked():
    whole = shuffled(np.arange(1000), 1000, (1, 2))
    assert shuffled(np.array([999, 3, 500]), 1000, (1, 2)).tolist() == whole[[999, 3, 500]].tolist()


@pytest.mark.parametrize("count", [5, 16, 100])
def test_over_many_seeds_each_number_stands_everywhere_and_beside_every_other(count):
    """Compare χ² of 2,000 shuffles to its mean, the number of cells, within six deviations."""
    shuffles = np.stack([shuffled(np.arange(count), count, (seed, 7)) for seed in range(2000)])
    first_places = np.bincount(shuffles[:, 0], minlength=count)
    steps = np.bincount((shuffles[:, 1] - shuffles[:, 0]) % count, minlength=count)[1:]
    for seen in (first_places, steps):
        expected = seen.sum() / len(seen)
        chi_square = ((seen - expected) ** 2 / expected).sum()
        assert abs(chi_square - (len(seen) - 1)) < 6 * (2 * (len(seen) - 1)) ** 0.5


def test_an_epoch_shows_every_document_once_and_the_next_in_another_order():
    order = [document for step in documents_of(shards_of([7] * 40), 10) for document in step]
    first, second = order[:40], order[40:]
    assert sorted(first) == sorted(second) == list(range(40))
    assert first != second


@given(st.integers(0, 30), st.integers(1, 9))
def test_from_any_position_the_order_goes_on_as_it_would_have(first_step, units_per_step):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "POOL_DOCUMENTS", 10)
        shards = shards_of([3, 9, 17, 5, 2, 8, 30, 4] * 3)
        going = Order(shards, 3, CONTEXT, units_per_step, BEGINNING)
        for _ in range(first_step):
            going.take()
        assert going.position.step == first_step
        whole = documents_of(shards, first_step + 3, units_per_step=units_per_step)
        assert documents_of(shards, 3, going.position, units_per_step) == whole[first_step:]


def test_pools_of_an_epoch_together_hold_all_documents(monkeypatch):
    monkeypatch.setattr(order, "POOL_DOCUMENTS", 7)
    going, epoch = Order(shards_of([3] * 25), 0, CONTEXT, 1, BEGINNING), []
    while going.position.epoch == 0:
        epoch += going.take().document_S.tolist()
    assert sorted(epoch) == list(range(25))
