"""The numbers of posts in the lake's data files: how a file holds them, and what they are.

A post's number rises with its arrival. A streamed post has it before it comes into the lake. The
posts of an ingest get theirs when the lake has them: all at once, so that no number appears below
one that somebody has read. Until then a row holds its place in the write, and the live log learns
how many numbers were given before that write (`book.py`). So a file's column `number` holds

- a positive number: the post's number;
- a negative one: minus the post's place, from 1 on, in the write that made the file;
- null in a file of a release before: the log knows how many numbers were given before the file.

A file's numbers rise from row to row. A file that is written anew holds the numbers themselves.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rookery.posts.post import POST_SCHEMA

NUMBER = pa.field("number", pa.int64())
NUMBERED_SCHEMA = POST_SCHEMA.append(NUMBER)
MERGED_ROWS = 4096
"""The size of a batch where many files are read side by side."""


@dataclass(frozen=True)
class Before:
    """How many numbers were given before each write of the lake, by its version, and before each
    data file of a release before, by its `file_name`.
    """

    writes: Mapping[int, int] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)

    def numbers(self, path: Path, held: pa.Array, row: int) -> np.ndarray:
        """Return the numbers of some rows of a file, int64 (n,); 0 where none is given yet.

        held: the file's column. row: how many rows of the file come before.
        """
        if held.null_count:
            before = self.files.get(file_name(path))
            first = row + 1 + (before or 0)
            return np.arange(first, first + len(held)) * (before is not None)
        column, before = held.to_numpy(), self.writes.get(version_of(path))
        return np.where(column > 0, column, 0 if before is None else before - column)

    def bounds(
        self, path: Path, least: int | None, most: int | None, row: int, rows: int
    ) -> tuple[int, int]:
        """Return bounds of the numbers of some rows, both within; nothing is numbered if (0, 0).

        least, most: those of the file's column; None in a file of a release before.
        """
        if least is None or most is None:
            before = self.files.get(file_name(path))
            return (0, 0) if before is None else (before + row + 1, before + row + rows)
        if least > 0:
            return least, most
        before = self.writes.get(version_of(path))
        if before is None:
            return (1, most) if most > 0 else (0, 0)
        return (1, max(most, before - least)) if most > 0 else (before - most, before - least)


def file_name(path: Path) -> str:
    """Return a data file's name with its month's folder: one write uses a name in every month."""
    return f"{path.parent.name}/{path.name}"


def version_of(path: Path) -> int:
    """Return the version of the lake that a data file was written for; -1 if it names none."""
    number = path.name.partition("-")[0]
    return int(number) if number.isdigit() else -1


def read_numbered(
    path: Path, before: Before, after: int | None = None, until: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the posts of a data file in its order, with their numbers; of `NUMBERED_SCHEMA`.

    after, until: only the posts with numbers over the one and up to the other; None: all posts,
    those without a number too, which have a 0.
    """
    row = 0
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            held = _held_bounds(file.metadata, [group])
            least, most = before.bounds(path, held[0], held[1], row, rows)
            if (after is None or most > after) and (until is None or least <= until):
                for batch in _numbered(file, path, before, group, row):
                    yield _between(batch, after, until)
            row += rows


def _numbered(
    file: pq.ParquetFile, path: Path, before: Before, group: int, row: int
) -> Iterator[pa.RecordBatch]:
    for batch in batches_of(file, NUMBERED_SCHEMA, MERGED_ROWS, [group]):
        numbers = pa.array(before.numbers(path, batch[NUMBER.name], row), NUMBER.type)
        yield batch.set_column(batch.num_columns - 1, NUMBER, numbers)
        row += batch.num_rows


def _between(batch: pa.RecordBatch, after: int | None, until: int | None) -> pa.RecordBatch:
    numbers = batch[NUMBER.name].to_numpy()
    first = 0 if after is None else int(np.searchsorted(numbers, after, "right"))
    end = len(numbers) if until is None else int(np.searchsorted(numbers, until, "right"))
    return batch.slice(first, end - first)


def batches_of(
    file: pq.ParquetFile, schema: pa.Schema, rows: int, groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a data file, or of some of its row groups, as a schema has them.

    A column that the file lacks is null. It uses no thread of Arrow's, so that it can feed a write.
    """
    there = set(file.schema_arrow.names)
    columns = [name for name in schema.names if name in there]
    for batch in file.iter_batches(rows, row_groups=groups, columns=columns, use_threads=False):
        arrays = [
            batch[column.name].cast(column.type)
            if column.name in there
            else pa.nulls(batch.num_rows, column.type)
            for column in schema
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def number_stats(metadata: pq.FileMetaData) -> dict[str, dict[str, int]]:
    """Return the bounds of a file's column of numbers as the lake's table states them."""
    bounds = _held_bounds(metadata, range(metadata.num_row_groups))
    if None in bounds:
        return {}
    return {
        name: {NUMBER.name: bound}
        for name, bound in zip(("minValues", "maxValues"), bounds, strict=True)
    }


def _held_bounds(metadata: pq.FileMetaData, groups: Sequence[int]) -> tuple[Any, Any]:
    """Return the least and the most that a file's column of numbers holds in some row groups."""
    found = []
    for group in groups:
        columns = metadata.row_group(group)
        for place in range(columns.num_columns):
            column = columns.column(place)
            if column.path_in_schema == NUMBER.name and column.statistics is not None:
                found.append(column.statistics)
    if len(found) < len(groups) or not all(stats.has_min_max for stats in found):
        return None, None
    return min(stats.min for stats in found), max(stats.max for stats in found)
