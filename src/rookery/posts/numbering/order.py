"""Merging of rows that lie in several places, each in the order of their numbers.

It holds no more than a window of rows and a batch of each place that reaches into the window. Not
here: how a file holds numbers (`files.py`).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rookery.posts.numbering.files import NUMBER


@dataclass(frozen=True)
class NumberedRows:
    """Rows of which no number is under `least`; `read` yields them with numbers that rise."""

    least: int
    read: Callable[[], Iterable[pa.RecordBatch]]


def in_order(sources: Iterable[NumberedRows], most: int) -> Iterator[pa.Table]:
    """Yield the rows of all sources in the order of their numbers.

    A table has at least one row, and those of at most `most` numbers.
    """
    unopened = sorted(sources, key=lambda source: source.least, reverse=True)
    opened: list[_Opened] = []
    while unopened or opened:
        first = min([one.first for one in opened] + [one.least for one in unopened[-1:]])
        end = first + most
        while unopened and unopened[-1].least < end:
            opened.append(_Opened(unopened.pop()))
        parts = [part for one in opened for part in one.take_below(end)]
        opened = [one for one in opened if one.has_more]
        if parts:
            yield _merged(parts)


class _Opened:
    """A source that is being read, and the batch of it that comes next."""

    def __init__(self, source: NumberedRows):
        self._batches = iter(source.read())
        self._next: pa.RecordBatch | None = None
        self._advance()

    def _advance(self) -> None:
        self._next = next((batch for batch in self._batches if batch.num_rows), None)

    @property
    def has_more(self) -> bool:
        return self._next is not None

    @property
    def first(self) -> int:
        assert self._next is not None
        return self._next[NUMBER.name][0].as_py()

    def take_below(self, end: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows with numbers below `end`, and hold them no longer."""
        while self._next is not None:
            batch = self._next
            below = int(np.searchsorted(batch[NUMBER.name].to_numpy(), end))
            if below:
                yield batch.slice(0, below)
            if below < batch.num_rows:
                self._next = batch.slice(below)
                return
            self._advance()


def _merged(parts: list[pa.RecordBatch]) -> pa.Table:
    table = pa.Table.from_batches(parts)
    numbers = table[NUMBER.name].to_numpy()
    if (np.diff(numbers) >= 0).all():
        return table
    return table.combine_chunks().take(pa.array(np.argsort(numbers, kind="stable")))
