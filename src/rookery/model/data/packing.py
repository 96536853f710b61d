"""Packing: how documents are placed in rows of tokens, so that few places stay empty.

Attention over a row costs the square of its length, and most posts are short. So a *unit* of
`context_tokens` places is either one whole row or two half rows, whichever its documents need. A
*span* is a document, or the part of a long one that fits into a row; a row holds several spans, one
behind the other.

Every process of a run packs the documents of all processes, so all work is done on arrays: a
document costs less than a microsecond. Not here: which documents are packed together (`order.py`),
and their tokens (`batches.py`).

Letters in names: U units, S spans.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from rookery.core.arrays import ranges


@dataclass(frozen=True)
class Units:
    """Several units, and their spans in the order in which they lie in the units.

    is_halved: bool, whether a unit is two half rows. spans: how many spans a unit has. document,
    begin, tokens: a span is the tokens [begin, begin + tokens) of a document. in_second: bool,
    whether a span lies in the second of two half rows. All but the bools are int64.
    """

    is_halved_U: np.ndarray
    spans_U: np.ndarray
    document_S: np.ndarray
    begin_S: np.ndarray
    tokens_S: np.ndarray
    in_second_S: np.ndarray

    def __len__(self) -> int:
        return len(self.spans_U)

    def __getitem__(self, chosen: slice | np.ndarray) -> "Units":
        """Return some units, chosen by number, in the order given."""
        units = np.arange(len(self))[chosen]
        spans = ranges((np.cumsum(self.spans_U) - self.spans_U)[units], self.spans_U[units])
        of_spans = (self.document_S, self.begin_S, self.tokens_S, self.in_second_S)
        return Units(
            self.is_halved_U[units], self.spans_U[units], *(values[spans] for values in of_spans)
        )


def joined(parts: Sequence[Units]) -> Units:
    """Return the units of several parts (at least one), one part after another."""
    return Units(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Units))
    )


def pack(documents: np.ndarray, lengths: np.ndarray, context_tokens: int) -> Units:
    """Return units in which every token of some documents has exactly one place.

    documents, lengths: the number of each and its length in tokens (int64). Spans of more than half
    a row open whole rows; short spans fill those up, and then half rows.
    """
    half_tokens = context_tokens // 2
    parts = -(-lengths // context_tokens)
    document_S = np.repeat(documents, parts)
    begin_S = context_tokens * ranges(np.zeros_like(parts), parts)
    tokens_S = np.minimum(np.repeat(lengths, parts) - begin_S, context_tokens)
    order = np.argsort(-tokens_S, kind="stable")
    document_S, begin_S, tokens_S = document_S[order], begin_S[order], tokens_S[order]

    whole = int(np.count_nonzero(tokens_S > half_tokens))
    unit_S, in_second_S = np.arange(len(tokens_S)), np.zeros(len(tokens_S), dtype=bool)
    unit_S[whole:] = best_fit(tokens_S[whole:], context_tokens - tokens_S[:whole])
    halved = whole + np.flatnonzero(unit_S[whole:] < 0)
    halves = best_fit(tokens_S[halved], np.zeros(0, dtype=np.int64), half_tokens)
    unit_S[halved], in_second_S[halved] = whole + halves // 2, halves % 2

    units = int(unit_S.max(initial=-1)) + 1
    spans = np.lexsort((in_second_S, unit_S))
    of_spans = (values[spans] for values in (document_S, begin_S, tokens_S, in_second_S))
    return Units(np.arange(units) >= whole, np.bincount(unit_S, minlength=units), *of_spans)


def best_fit(tokens: np.ndarray, rooms: np.ndarray, new_room: int | None = None) -> np.ndarray:
    """Return the row of each span: the one that it fills best, the longest span first.

    tokens: the length of each span, in falling order. rooms: the free places of each existing row.
    new_room: the places of a new row, opened where a span fits into no other and numbered after
    them; None: such a span has the row -1.

    Best-fit decreasing opens at most 11/9 of the fewest possible rows, up to a constant. All spans
    of one length are placed together, into all rows of the same room. The result is that of placing
    them one by one: the row that a span was put into is the tightest for the next one as long as
    that fits.
    """
    row_of = np.full(len(tokens), -1)
    free, opened = _Free(rooms), len(rooms)
    ends = [*np.flatnonzero(np.diff(tokens)) + 1, len(tokens)] if len(tokens) else []
    start = 0
    for end in map(int, ends):
        size = int(tokens[start])
        while start < end:
            found = free.take_tightest(size)
            if found is not None:
                rows, room = found
            elif new_room is not None:
                rows, room = (
                    np.arange(opened, opened + math.ceil((end - start) / (new_room // size))),
                    new_room,
                )
                opened += len(rows)
            else:
                break
            each = room // size
            filled = min(len(rows), (end - start) // each)
            row_of[start : start + filled * each] = np.repeat(rows[:filled], each)
            free.keep(rows[:filled], room - each * size)
            start, rows = start + filled * each, rows[filled:]
            if len(rows) and start < end:  # the last spans of this length fill a row in part
                row_of[start:end] = rows[0]
                free.keep(rows[:1], room - (end - start) * size)
                start, rows = end, rows[1:]
            free.keep(rows, room)
        start = end
    return row_of


class _Free:
    """Rows by their room: how many places they have left."""

    def __init__(self, rooms: np.ndarray):
        self._rows: dict[int, list[np.ndarray]] = {}
        self._bits = 0  # bit r is set where there are rows with room for r tokens
        by_room = np.argsort(rooms, kind="stable")
        for rows in np.split(by_room, np.flatnonzero(np.diff(rooms[by_room])) + 1):
            self.keep(rows, int(rooms[rows].max(initial=0)))

    def keep(self, rows: np.ndarray, room: int) -> None:
        if room and len(rows):
            self._rows.setdefault(room, []).append(rows)
            self._bits |= 1 << room

    def take_tightest(self, size: int) -> tuple[np.ndarray, int] | None:
        """Take out all rows of the least room in which `size` tokens fit; return them and the room.

        None if no row has so much room.
        """
        fitting = self._bits >> size
        if not fitting:
            return None
        room = size + (fitting & -fitting).bit_length() - 1
        self._bits ^= 1 << room
        found = self._rows.pop(room)
        return found[0] if len(found) == 1 else np.concatenate(found), room
