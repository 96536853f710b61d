"""Batches: shares add up to the same step, and forgotten documents are not learned."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.errors import DataError
from rookery.corpus.shards import Shards
from rookery.model.config import TrainConfig
from rookery.model.data.batches import EMPTY, Share, batches
from rookery.model.data.order import BEGINNING
from rookery.model.shape import ModelShape
from rookery.model.training.loss import IGNORED

CONTEXT = 16
CONFIG = TrainConfig(
    0.0,
    ModelShape(5000, 8, 1, 1, 1, 8, 8, CONTEXT),
    steps=9,
    batch_tokens=64,
    micro_batch_tokens=32,
    seed=3,
)
END = 0
lengths_of_documents = st.lists(st.integers(1, 50), max_size=60)


def shards_of(lengths: list[int]) -> Shards:
    """Return shards in which every token is another number, so that each can be recognised."""
    texts, following = [], 1
    for length in lengths:
        texts.append([*range(following, following + length - 1), END])
        following += length
    flat = np.array([token for text in texts for token in text], dtype=np.uint16)
    none = np.zeros(0, dtype=np.uint64)
    return Shards(
        flat, np.cumsum([0, *lengths]), none, none, np.zeros(len(lengths) + 1), 5000, END, 0
    )


def nothing_masked(shards: Shards):
    return lambda documents: np.zeros(len(documents), dtype=bool)


def test_a_document_follows_an_end_token_and_is_predicted_to_its_own_end():
    shards = shards_of([5])
    rows = next(batches(shards, CONFIG, nothing_masked(shards))).rows[0]
    assert rows.inputs[0, :6].tolist() == [END, 1, 2, 3, 4, END]
    assert rows.targets[0, :6].tolist() == [1, 2, 3, 4, END, IGNORED]
    assert rows.documents[0, :6].tolist() == [0, 0, 0, 0, 0, EMPTY]


def test_the_rest_of_a_long_document_follows_its_own_last_token():
    shards = shards_of([20])
    parts = next(batches(shards, CONFIG, nothing_masked(shards))).rows
    learned = {
        int(t): int(i)
        for p in parts
        for i, t in zip(p.inputs.flat, p.targets.flat, strict=True)
        if t > 0
    }
    assert learned == {1: END, **{n: n - 1 for n in range(2, 20)}}


@given(st.integers(0, 8))
def test_a_run_begun_later_sees_the_same_batches(first_step):
    shards = shards_of([3, 9, 17, 5, 2, 8, 30, 4] * 3)
    whole = list(islice(batches(shards, CONFIG, nothing_masked(shards)), 9))
    begin = whole[first_step - 1].following if first_step else BEGINNING
    assert begin.step == first_step
    later = list(islice(batches(shards, CONFIG, nothing_masked(shards), begin), 9 - first_step))
    for ours, theirs in zip(whole[first_step:], later, strict=True):
        for a, b in zip(ours.rows, theirs.rows, strict=True):
            assert all(
                np.array_equal(getattr(a, n), getattr(b, n))
                for n in ("inputs", "targets", "documents")
            )


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


def test_a_token_out_of_range_is_refused_before_a_network_sees_it():
    shards = shards_of([6] * 12)
    shards.tokens[40] = shards.vocabulary
    with pytest.raises(
        DataError, match=r"a token of the shards is out of range: 5000, .* 5000\. Remove"
    ):
        list(islice(batches(shards, CONFIG, nothing_masked(shards)), 9))


def test_without_documents_there_are_no_batches():
    shards = shards_of([])
    assert list(batches(shards, CONFIG, nothing_masked(shards))) == []


def places_of(step) -> list[tuple[int, int]]:
    """Return the pairs of input and target token in a step, in no order."""
    pairs = ((rows.inputs, rows.targets) for rows in step.rows)
    return [
        (int(i), int(t))
        for ins, ts in pairs
        for i, t in zip(ins.flat, ts.flat, strict=True)
        if t != IGNORED
    ]


shares = st.integers(1, 5)


@given(lengths_of_documents.filter(any), shares, st.sampled_from([None, 1, 3]))
def test_all_shares_together_see_what_one_learner_sees(lengths, count, pieces):
    shards = shards_of(lengths)
    single_process = next(batches(shards, CONFIG, nothing_masked(shards)))
    parts = [
        next(batches(shards, CONFIG, nothing_masked(shards), share=Share(n, count, pieces)))
        for n in range(count)
    ]
    assert sorted(place for part in parts for place in places_of(part)) == sorted(
        places_of(single_process)
    )
    assert (
        {part.learned_tokens for part in parts}
        == {single_process.learned_tokens}
        == {len(places_of(single_process))}
    )


@given(lengths_of_documents.filter(any), shares)
def test_every_share_has_as_many_micro_batches_of_one_kind(lengths, count):
    """Otherwise some processes would wait for others for ever."""
    shards = shards_of(lengths)
    parts = [
        next(batches(shards, CONFIG, nothing_masked(shards), share=Share(n, count)))
        for n in range(count)
    ]
    assert len({tuple(rows.inputs.shape[1] for rows in part.rows) for part in parts}) == 1


@given(lengths_of_documents.filter(any), shares, st.integers(1, 6))
def test_a_pipelines_micro_batches_are_of_one_size(lengths, count, pieces):
    shards = shards_of(lengths)
    for number in range(count):
        step = next(
            batches(shards, CONFIG, nothing_masked(shards), share=Share(number, count, pieces))
        )
        assert len(step.rows) == pieces
        assert len({rows.inputs.shape for rows in step.rows}) == 1


def test_what_is_masked_is_not_counted_as_learned():
    shards = shards_of([6] * 12)

    def masked(documents):
        return documents % 2 == 0

    step = next(batches(shards, CONFIG, masked))
    assert step.learned_tokens == len(places_of(step)) > 0
