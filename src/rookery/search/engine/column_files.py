"""Column files: `Columns` on the disk, appended by one process and mapped by many.

    posts.bin     a record for each ordinal: everything of `Columns` that has one value for a post
    terms.bin     a record for each term: its hash, and that of the word as written
    vectors.bin   the int8 vector of each ordinal
    dead.bin      the ordinals that an edit or a removal took out, in the order in which it did
    verdicts.bin  what the gate said of each post that came by, the last one of a post holds

The files only grow. How much of them counts is said by the text index (`writer.py`): what was
appended after its last commit is cut off when the writer starts again, so that both always tell of
the same posts.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from rookery.core.errors import DataError
from rookery.search.engine.columns import Columns

POST_RECORD = np.dtype(
    [
        ("end", "<i8"),
        ("created", "<i8"),
        ("id", "<u8"),
        ("author", "<u8"),
        ("same", "<u8"),
        ("likes", "<i4"),
        ("reposts", "<i4"),
        ("replies", "<i4"),
        ("tags", "u1"),
        ("mentions", "u1"),
        ("links", "u1"),
        ("flags", "u1"),
    ]
)
_NAMES: tuple[str, ...] = tuple(POST_RECORD.names or ())
TERM_RECORD = np.dtype([("term", "<u4"), ("exact", "<u4")])
VERDICT_RECORD = np.dtype([("id", "<u8"), ("reason", "u1")])  # 0: it may be searched
_DEAD = np.dtype("<i8")
_POSTS, _TERMS, _VECTORS, _DEAD_FILE = "posts.bin", "terms.bin", "vectors.bin", "dead.bin"
_VERDICTS = "verdicts.bin"


@dataclass(frozen=True)
class Extent:
    """How much of the files counts: posts, their terms, how many of them are dead, verdicts."""

    posts: int = 0
    terms: int = 0
    dead: int = 0
    verdicts: int = 0


class ColumnWriter:
    """The files of one folder, open for appending."""

    def __init__(self, folder: Path, dimensions: int, extent: Extent):
        """Open the files, and cut off what they hold beyond an extent.

        Raises `DataError` if a file holds less.
        """
        self._sizes = _sizes(dimensions)
        self.extent = extent
        self._files: dict[str, BinaryIO] = {}
        for name, count in _counts(extent).items():
            self._files[name] = open(folder / name, "ab")
            wanted, held = count * self._sizes[name], self._files[name].tell()
            if held < wanted:
                raise _too_short(folder / name, held, wanted)
            self._files[name].truncate(wanted)

    def append(self, columns: Columns) -> None:
        """Append posts, whose ordinals follow those that are there."""
        records = np.zeros(columns.posts, POST_RECORD)
        records["end"] = columns.ends + self.extent.terms
        for name in _NAMES[1:]:
            records[name] = getattr(columns, _PLURAL.get(name, name))
        terms = np.zeros(len(columns.terms), TERM_RECORD)
        terms["term"], terms["exact"] = columns.terms, columns.exact
        self._files[_POSTS].write(records.tobytes())
        self._files[_TERMS].write(terms.tobytes())
        self._files[_VECTORS].write(np.ascontiguousarray(columns.vectors, np.int8).tobytes())
        self.extent = replace(
            self.extent,
            posts=self.extent.posts + columns.posts,
            terms=self.extent.terms + len(columns.terms),
        )

    def bury(self, ordinals: Sequence[int]) -> None:
        """Note that ordinals are dead."""
        self._files[_DEAD_FILE].write(np.asarray(ordinals, _DEAD).tobytes())
        self.extent = replace(self.extent, dead=self.extent.dead + len(ordinals))

    def judge(self, ids: np.ndarray, reasons: np.ndarray) -> None:
        """Note what the gate says of posts: hashes of ids, and numbers of reasons."""
        records = np.zeros(len(ids), VERDICT_RECORD)
        records["id"], records["reason"] = ids, reasons
        self._files[_VERDICTS].write(records.tobytes())
        self.extent = replace(self.extent, verdicts=self.extent.verdicts + len(ids))

    def sync(self) -> None:
        """Make all that was appended survive a power cut."""
        for file in self._files.values():
            file.flush()
            os.fdatasync(file.fileno())

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()


@dataclass(frozen=True)
class MappedColumns:
    """The columns of a folder up to an extent, and the ordinals that are dead, as written."""

    columns: Columns
    dead: np.ndarray


def map_columns(folder: Path, dimensions: int, extent: Extent) -> MappedColumns:
    """Map the files of a folder up to an extent.

    Raises `DataError` if a file holds less.
    """
    posts = _mapped(folder / _POSTS, POST_RECORD, extent.posts)
    terms = _mapped(folder / _TERMS, TERM_RECORD, extent.terms)
    vectors = _mapped(folder / _VECTORS, np.dtype(np.int8), extent.posts * dimensions)
    dead = _mapped(folder / _DEAD_FILE, _DEAD, extent.dead)
    fields = {_PLURAL.get(name, name): posts[name] for name in _NAMES}
    columns = Columns(
        terms=terms["term"],
        exact=terms["exact"],
        vectors=vectors.reshape(extent.posts, dimensions),
        **fields,
    )
    return MappedColumns(columns, dead)


def refused(folder: Path, extent: Extent) -> np.ndarray:
    """Return how many posts the gate refuses for each reason, by its number; int64 (256,)."""
    verdicts = _mapped(folder / _VERDICTS, VERDICT_RECORD, extent.verdicts)[::-1]
    _, last = np.unique(verdicts["id"], return_index=True)
    return np.bincount(verdicts["reason"][last], minlength=256)


_PLURAL = {"end": "ends", "id": "ids", "author": "authors"}


def _counts(extent: Extent) -> dict[str, int]:
    return {
        _POSTS: extent.posts,
        _TERMS: extent.terms,
        _VECTORS: extent.posts,
        _DEAD_FILE: extent.dead,
        _VERDICTS: extent.verdicts,
    }


def _sizes(dimensions: int) -> dict[str, int]:
    return {
        _POSTS: POST_RECORD.itemsize,
        _TERMS: TERM_RECORD.itemsize,
        _VECTORS: dimensions,
        _DEAD_FILE: _DEAD.itemsize,
        _VERDICTS: VERDICT_RECORD.itemsize,
    }


def _mapped(path: Path, kind: np.dtype, count: int) -> np.ndarray:
    held = path.stat().st_size
    if held < count * kind.itemsize:
        raise _too_short(path, held, count * kind.itemsize)
    if not count:
        return np.zeros(0, kind)
    # a plain array: memmap's own class makes every slice of it slow
    return np.memmap(path, kind, "r", shape=(count,)).view(np.ndarray)


def _too_short(path: Path, held: int, wanted: int) -> DataError:
    return DataError(f"{path.name} holds {held:,} bytes of {wanted:,}", where=path.parent)
