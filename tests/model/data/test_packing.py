"""Packing: its laws, and a comparison with a plain best fit that places one span at a time."""

import bisect

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rookery.model.data.packing import Units, best_fit, joined, pack

CONTEXT = 16
lengths_of_documents = st.lists(st.integers(1, 50), max_size=60)


def packed(lengths: list[int]) -> Units:
    return pack(np.arange(len(lengths)), np.array(lengths, dtype=np.int64), CONTEXT)


def rows_of(units: Units) -> list[tuple[bool, list[tuple[int, int, int]]]]:
    """Return each row: whether it is a half, and its spans as (document, begin, tokens)."""
    rows, start = [], 0
    for is_halved, count in zip(units.is_halved_U, units.spans_U, strict=True):
        spans = range(start, start := start + count)
        for second in (False, True) if is_halved else (False,):
            of_row = [n for n in spans if units.in_second_S[n] == second]
            columns = (units.document_S, units.begin_S, units.tokens_S)
            rows.append((bool(is_halved), [tuple(int(c[n]) for c in columns) for n in of_row]))
    return rows


@given(lengths_of_documents)
def test_every_token_has_exactly_one_place(lengths):
    spans = [span for _, row in rows_of(packed(lengths)) for span in row]
    places = sorted(
        (number, place) for number, begin, tokens in spans for place in range(begin, begin + tokens)
    )
    assert places == [
        (number, place) for number, length in enumerate(lengths) for place in range(length)
    ]


@given(lengths_of_documents)
def test_no_row_is_overfull_and_only_long_documents_are_cut(lengths):
    for is_half, row in rows_of(packed(lengths)):
        assert sum(tokens for _, _, tokens in row) <= CONTEXT // (2 if is_half else 1)
        assert all(
            tokens == lengths[number] for number, _, tokens in row if lengths[number] <= CONTEXT
        )


def test_posts_of_common_lengths_fill_nearly_all_places():
    lengths = np.random.default_rng(0).gamma(4.0, 10.0, 8000).astype(int) + 2
    assert lengths.sum() / (len(pack(np.arange(8000), lengths, 256)) * 256) > 0.98


def one_by_one(tokens: list[int], rooms: list[int], new_room: int | None) -> list[int]:
    """Return the room left in the row of each span once it was placed there; -1 without a row."""
    free, left = sorted(rooms), []
    for size in tokens:
        place = bisect.bisect_left(free, size)
        if place == len(free) and new_room is None:
            left.append(-1)
            continue
        room = free.pop(place) if place < len(free) else new_room
        bisect.insort(free, room - size)
        left.append(room - size)
    return left


@given(
    st.lists(st.integers(1, 20), max_size=80).map(lambda sizes: sorted(sizes, reverse=True)),
    st.lists(st.integers(0, 19), max_size=20),
    st.sampled_from([None, 20]),
)
def test_all_of_one_length_together_fill_what_one_by_one_would(tokens, rooms, new_room):
    rows = best_fit(np.array(tokens, dtype=np.int64), np.array(rooms, dtype=np.int64), new_room)
    free = dict(enumerate(rooms))
    left = []
    for size, row in zip(tokens, rows.tolist(), strict=True):
        if row >= 0:
            free[row] = free.get(row, new_room) - size
        left.append(free[row] if row >= 0 else -1)
    assert left == one_by_one(tokens, rooms, new_room)


@given(lengths_of_documents, st.randoms(use_true_random=False))
def test_some_of_the_units_are_those_and_in_the_order_asked_for(lengths, random):
    units = packed(lengths)
    parts = [units[n : n + 1] for n in range(len(units))]
    chosen = random.sample(range(len(units)), len(units) // 2)
    rows = [row for n in chosen for row in rows_of(parts[n])]
    assert rows_of(units[np.array(chosen, dtype=int)]) == rows
    if chosen:
        assert rows_of(joined([parts[n] for n in chosen])) == rows


def test_two_documents_of_half_a_row_share_a_unit_of_two_halves():
    assert rows_of(packed([8, 8])) == [(True, [(0, 0, 8)]), (True, [(1, 0, 8)])]
    assert rows_of(packed([9, 8])) == [(False, [(0, 0, 9)]), (True, [(1, 0, 8)]), (True, [])]
    assert rows_of(packed([9, 7])) == [(False, [(0, 0, 9), (1, 0, 7)])]
    assert rows_of(packed([40])) == [
        *((False, [(0, begin, 16)]) for begin in (0, 16)),
        *((True, [(0, 32, 8)]), (True, [])),
    ]
    assert len(packed([])) == 0
