"""Prepared posts: the numbers of all of them in one order, and their strings part by part.

The order is by time; posts of one moment are in the order of the ends of their ids (`prepare.py`),
then of the hashes of their ids. It does not depend on how the lake was cut into parts. A column of
numbers takes eight bytes a post or less and is read when it is asked for; strings are read part by
part only, so that memory is bounded by the numbers. Not here: how posts are prepared
(`prepare.py`).
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rookery.core.digest import hash_ids
from rookery.corpus.language import UNKNOWN, of_authors
from rookery.posts.post import USES

COUNTED = b"counted"
"""The key in a part's metadata for the numbers of its posts: read, refused and redacted."""
BAND = "band_"
LANGUAGE = "language"


@dataclass(frozen=True)
class Posts:
    """All posts that passed the gate, in one order.

    Row 0 is the earliest post; `place[row]` is the place of a row in the parts.
    """

    parts: tuple[Path, ...]
    starts: np.ndarray  # (parts + 1,): the first place of each part
    place: np.ndarray
    in_lake: int
    refused: dict[str, Counter[str]]  # by use and reason
    redacted: Counter[str]
    language: np.ndarray  # (posts,): a code into `languages`, or -1
    languages: list[str]

    def __len__(self) -> int:
        return len(self.place)

    def numbers(self, name: str, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return a column of numbers, of all rows or of some; times are microseconds."""
        return _read_numbers(self.parts, name)[self.place[rows]]

    def coded(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Return a column of few distinct strings as codes into a sorted list; -1 for null."""
        codes, names = _read_coded(self.parts, name)
        return codes[self.place], names

    def refused_posts(self) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Return the posts that may not be trained on: their ids' hashes, reasons, reasons' names.

        A reason is a code into the sorted names. These posts are no rows, and in no order.
        """
        files = [refused_file(part) for part in self.parts]
        return _read_numbers(files, "id_hash"), *_read_coded(files, "reason")

    def sketches(self, rows: np.ndarray) -> np.ndarray:
        """Return the MinHash sketches of some rows, as uint8 (rows, hashes)."""
        parts = [
            _fixed(pq.read_table(part, columns=["sketch"])["sketch"].combine_chunks())
            for part in self.parts
        ]
        return np.concatenate(parts)[self.place[rows]]

    def stream(self, names: Sequence[str]) -> Iterator[tuple[np.ndarray, pa.Table]]:
        """Yield columns of strings part by part, each part with the rows of its posts.

        `language` is one of them, with the authors' languages filled in.
        """
        row_at = self._rows_at()
        for part, start, end in zip(self.parts, self.starts, self.starts[1:], strict=False):
            rows = row_at[start:end]
            table = pq.read_table(part, columns=[name for name in names if name != LANGUAGE])
            if LANGUAGE in names:
                table = table.append_column(LANGUAGE, self._named(rows))
            yield rows, table.select(names)

    def pick(self, rows: np.ndarray, names: Sequence[str]) -> pa.Table:
        """Return the strings of some rows, in the order given."""
        wanted = np.full(len(self), -1, np.int64)
        wanted[rows] = np.arange(len(rows))
        tables, order = [], []
        for row_at, table in self.stream(names):
            hit = wanted[row_at] >= 0
            tables.append(table.filter(pa.array(hit)))
            order.append(wanted[row_at][hit])
        return (
            pa.concat_tables(tables)
            .take(pa.array(np.argsort(np.concatenate(order))))
            .combine_chunks()
        )

    def _named(self, rows: np.ndarray) -> pa.Array:
        """Return the languages of some rows, as strings."""
        codes = self.language[rows]
        return pa.array(self.languages, pa.string()).take(pa.array(codes, mask=codes == UNKNOWN))

    def _rows_at(self) -> np.ndarray:
        """Return the row of each place."""
        rows = np.empty_like(self.place)
        rows[self.place] = np.arange(len(self.place))
        return rows


def open_posts(parts: Sequence[Path]) -> Posts:
    """Open prepared parts as posts in one order.

    Posts of unknown language get the language of their author, if that is known.
    """
    counted = [json.loads(pq.read_schema(part).metadata[COUNTED]) for part in parts]
    place = np.lexsort([_read_numbers(parts, name) for name in ("id_hash", "id_end", "created")])
    starts = np.cumsum([0, *(pq.read_metadata(part).num_rows for part in parts)])
    redacted = sum((Counter(c["redacted"]) for c in counted), Counter())
    refused: dict[str, Counter[str]] = {
        use: sum((Counter(c["refused"][use]) for c in counted), Counter()) for use in USES
    }
    codes, languages = _read_coded(parts, LANGUAGE)
    language = of_authors(codes, _read_numbers(parts, "author_hash"))[place]
    in_lake = sum(c["in_lake"] for c in counted)
    return Posts(tuple(parts), starts, place, in_lake, refused, redacted, language, languages)


def refused_file(part: Path) -> Path:
    """Return the file beside a part that holds the posts which did not pass the gate."""
    return part.with_suffix(".refused")


def hash_repeated_ids(ids: pa.Array) -> np.ndarray:
    """Return `hash_ids` of a column in which values repeat, with 0 for null."""
    coded = ids.dictionary_encode()
    known = np.append(hash_ids(coded.dictionary.to_pylist()), np.uint64(0))
    return known[pc.fill_null(coded.indices, len(known) - 1).to_numpy(zero_copy_only=False)]


def _read_numbers(parts: Sequence[Path], name: str) -> np.ndarray:
    columns = [pq.read_table(part, columns=[name])[name] for part in parts]
    if pa.types.is_timestamp(columns[0].type):
        columns = [column.cast(pa.int64()) for column in columns]
    return np.concatenate([column.to_numpy() for column in columns])


def _read_coded(parts: Sequence[Path], name: str) -> tuple[np.ndarray, list[str]]:
    columns = [pq.read_table(part, columns=[name])[name].combine_chunks() for part in parts]
    names = sorted(
        {value for column in columns for value in _dictionary(column)[1] if value is not None}
    )
    code = {value: number for number, value in enumerate(names)} | {None: -1}
    codes = [
        np.array([code[v] for v in values] + [-1], np.int16)[at]
        for at, values in map(_dictionary, columns)
    ]
    return np.concatenate(codes), names


def _dictionary(column: pa.DictionaryArray) -> tuple[np.ndarray, list]:
    """Return the codes, with -1 for null, and the values that they mean."""
    codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes, column.dictionary.to_pylist()


def _fixed(column: pa.FixedSizeBinaryArray) -> np.ndarray:
    width = column.type.byte_width
    values = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    return values.reshape(-1, width)[column.offset : column.offset + len(column)]
