"""Which tokens a step sees: laws of packing, of the order, and of what was forgotten."""

from itertools import islice

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rookery.corpus.shards import Shards
from rookery.model.batches import EMPTY, all_units, batches, pack_units
from rookery.model.config import TrainConfig
from rookery.model.network import IGNORED
from rookery.model.shape import ModelShape

CONTEXT = 16
CONFIG = TrainConfig(
    0.0, ModelShape(5000, 8, 1, 1, 1, 8, 8, CONTEXT), steps=9, batch_tokens=64, micro_batch_tokens=32, seed=3
)
END = 0
lengths_of_documents = st.lists(st.integers(1, 50), max_size=60)


def shards_of(lengths: list[int]) -> Shards:
    """Documents in which every token is another number, so that each can be told apart."""
    texts, following = [], 1
    for length in lengths:
        texts.append([*range(following, following + length - 1), END])
        following += length
    flat = np.array([token for text in texts for token in text], dtype=np.uint16)
    none = np.zeros(0, dtype=np.uint64)
    return Shards(flat, np.cumsum([0, *lengths]), none, none, np.zeros(len(lengths) + 1), 5000, END, 0)


def nothing_masked(shards: Shards):
    return lambda documents: np.zeros(len(documents), dtype=bool)


@given(lengths_of_documents)
def test_every_token_has_exactly_one_place(lengths):
    units = pack_units(list(enumerate(lengths)), CONTEXT)
    spans = [span for unit in units for row in unit.rows for span in row]
    places = sorted((span.document, place) for span in spans for place in range(span.begin, span.end))
    assert places == [(number, place) for number, length in enumerate(lengths) for place in range(length)]


@given(lengths_of_documents)
def test_no_row_is_overfull_and_only_long_documents_are_cut(lengths):
    for unit in pack_units(list(enumerate(lengths)), CONTEXT):
        assert len(unit.rows) in (1, 2)
        for row in unit.rows:
            assert sum(span.tokens for span in row) <= CONTEXT // len(unit.rows)
            assert all(span.tokens == lengths[span.document] for span in row if lengths[span.document] <= CONTEXT)


def test_posts_of_common_lengths_fill_nearly_all_places():
    lengths = np.random.default_rng(0).gamma(4.0, 10.0, 8000).astype(int) + 2
    units = pack_units([(i, int(n)) for i, n in enumerate(lengths)], 256)
    assert lengths.sum() / (len(units) * 256) > 0.98


def test_a_document_follows_an_end_token_and_is_predicted_to_its_own_end():
    shards = shards_of([5])
    rows = next(batches(shards, CONFIG, nothing_masked(shards))).rows[0]
    assert rows.inputs[0, :6].tolist() == [END, 1, 2, 3, 4, END]
    assert rows.targets[0, :6].tolist() == [1, 2, 3, 4, END, IGNORED]
    assert rows.documents[0, :6].tolist() == [0, 0, 0, 0, 0, EMPTY]


def test_the_rest_of_a_long_document_follows_its_own_last_token():
    shards = shards_of([20])
    parts = [part for part in next(batches(shards, CONFIG, nothing_masked(shards))).rows if part.learned_tokens]
    learned = {int(t): int(i) for p in parts for i, t in zip(p.inputs.flat, p.targets.flat, strict=True) if t > 0}
    assert learned == {1: END, **{n: n - 1 for n in range(2, 20)}}


def test_an_epoch_shows_every_document_once_and_the_next_in_another_order():
    shards = shards_of([7] * 40)
    order = [s.document for u in islice(all_units(shards, 0, CONTEXT), 40) for row in u.rows for s in row]
    first, second = order[:40], order[40:]
    assert sorted(first) == sorted(second) == list(range(40))
    assert first != second


@given(st.integers(0, 8))
def test_a_run_begun_later_sees_the_same_batches(first_step):
    shards = shards_of([3, 9, 17, 5, 2, 8, 30, 4] * 3)
    whole = list(islice(batches(shards, CONFIG, nothing_masked(shards)), 9))
    later = list(islice(batches(shards, CONFIG, nothing_masked(shards), first_step), 9 - first_step))
    for ours, theirs in zip(whole[first_step:], later, strict=True):
        for a, b in zip(ours.rows, theirs.rows, strict=True):
            assert all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("inputs", "targets", "documents"))


def test_a_forgotten_document_is_in_no_later_batch_and_all_others_stay_in_place():
    shards = shards_of([6] * 12)
    forgotten = np.zeros(12, dtype=bool)
    masks = (lambda documents: forgotten[documents], nothing_masked(shards))
    running, undisturbed = (batches(shards, CONFIG, mask) for mask in masks)
    next(running), next(undisturbed)
    forgotten[5] = True
    its_tokens = shards.tokens[shards.offsets[5] : shards.offsets[6] - 1]
    for ours, theirs in zip(islice(running, 6), islice(undisturbed, 6), strict=True):
        for a, b in zip(ours.rows, theirs.rows, strict=True):
            assert not np.isin(a.inputs, its_tokens).any()
            assert not np.isin(a.targets, its_tokens).any()
            same = a.targets == b.targets
            assert np.isin(b.targets[~same], [*its_tokens, END]).all()


def test_without_documents_there_are_no_batches():
    shards = shards_of([])
    assert list(batches(shards, CONFIG, nothing_masked(shards))) == []
