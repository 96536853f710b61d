"""The places of posts in a write of the lake, which stand for their numbers until it is a version.

While months are written anew, their posts are merged in the order of numbers. There the posts of
the write at hand have numbers over `COMING`, which is more than any post ever has.
Not here: what a file holds as a number, and why (`files.py`).
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from rookery.posts.numbering.files import NUMBER, NUMBERED_SCHEMA

COMING = 1 << 62
"""What stands for the count of numbers that were given before the write at hand."""


class WritePlaces:
    """The numbers of a write's posts: those they have already, or their places in the write."""

    def __init__(self, given: Mapping[str, int] | None):
        self._given = given
        self.placed = 0

    def numbered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return posts of `POST_SCHEMA` with what the lake holds as their numbers."""
        if self._given is not None:
            numbers = pa.array([self._given[id_] for id_ in batch["id"].to_pylist()], NUMBER.type)
        else:
            first = self.placed + 1
            self.placed += batch.num_rows
            numbers = pa.array(-np.arange(first, self.placed + 1))
        return pa.RecordBatch.from_arrays([*batch.columns, numbers], schema=NUMBERED_SCHEMA)


def with_coming_numbers(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return posts of the write at hand with numbers over `COMING` for their places."""
    held = batch[NUMBER.name].to_numpy()
    return _with_numbers(batch, np.where(held < 0, COMING - held, held))


def with_places(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return posts with their places for numbers over `COMING`, as a file holds them."""
    numbers = batch[NUMBER.name].to_numpy()
    return _with_numbers(batch, np.where(numbers > COMING, COMING - numbers, numbers))


def _with_numbers(batch: pa.RecordBatch, numbers: np.ndarray) -> pa.RecordBatch:
    place = batch.schema.get_field_index(NUMBER.name)
    return batch.set_column(place, NUMBER, pa.array(numbers, NUMBER.type))
