"""Versions: decides which of several rows with one id is current, and what happens to the others.

The row with the later `edited` is current; a first version has no such time and is the earliest. Of
two with the same time, the one that came first is. So whatever the order of arrival, the newest
text ends in the lake. `Versions` decides on one ingest, piece by piece: most posts are new, and
only rows whose id was seen before are compared one by one. A row of which the lake does not know
who may read it is replaced by the same row that says so.

Two rows of one version may differ in who may read it: one archive lists what was for a circle, and
another file does not. A known visibility takes the place of an unknown one, a narrower that of a
wider.

`StoredVersions` finds the rows that the lake holds: it reads the ids of the whole lake once, and
keeps them as hashes.

Not here: what an ingest writes (`ingest.py`, `lake.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.arrays import is_among, ranges
from rookery.posts.lake import FILE, read_file, scan
from rookery.posts.post import POST_SCHEMA, VISIBILITIES, Post

ID_TAKEN = "id_taken"

VERSION_COLUMNS = ("id", "text", "edited", "visibility")
STORED_SCHEMA = pa.schema([POST_SCHEMA.field(name) for name in VERSION_COLUMNS])

_NEW, _KNOWN, _TAKEN, _OLD = range(4)  # the decision on a row
_FIRST = np.iinfo(np.int64).min  # the time of a version that was never edited
_UNKNOWN = VISIBILITIES.index("unknown")


@dataclass(frozen=True)
class VersionOutcome:
    """The decisions on a piece of an ingest, and on rows that came before it.

    new: its posts that go into the lake. already_there: how many rows add nothing. id_taken: rows
    with another text under an id that has one, without a later time. superseded: ids of rows that a
    later version replaced.
    """

    new: pa.Table
    already_there: int
    id_taken: pa.Table
    superseded: list[str]


def supersedes(coming: Post, held: Post) -> bool:
    """Return whether a version of a post takes the place of another that came before it."""
    if coming.edited == held.edited:
        visibilities = (VISIBILITIES.index(post.visibility) for post in (coming, held))
        return coming.text == held.text and bool(_says_more(*visibilities))
    return held.edited is None or (coming.edited is not None and coming.edited > held.edited)


class StoredVersions:
    """The versions in some data files of the lake, found by their ids."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Read the ids; it must not be while the lake is written."""
        self._paths = paths
        self._groups: set[str] = set()
        hashes, files = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
        for batch in scan(paths, ["id", "version_of", FILE]):
            hashes.append(_hashes(batch["id"]))
            files.append(batch[FILE].to_numpy())
            self._groups.update(batch["version_of"].drop_null().to_pylist())
        ids = np.concatenate(hashes)
        order = np.argsort(ids)
        self._ids, self._files = ids[order], np.concatenate(files)[order]

    def among(self, ids: pa.ChunkedArray) -> pa.Table:
        """Return the rows that have one of some ids, of `STORED_SCHEMA`."""
        coming = np.sort(_hashes(ids))  # looking up in order finds most of them in the cache
        first, after = (np.searchsorted(self._ids, coming, side) for side in ("left", "right"))
        files = np.unique(self._files[ranges(first, after - first)])
        # few files, and each read to the end: a hash may be that of two ids
        names = frozenset(ids.to_pylist()) if len(files) else frozenset()
        found = (
            batch.filter(is_among(batch["id"], names))
            for number in files.tolist()
            for batch in read_file(self._paths[number], VERSION_COLUMNS)
        )
        return pa.Table.from_batches((b for b in found if b.num_rows), STORED_SCHEMA)

    def groups_among(self, ids: pa.ChunkedArray) -> set[str]:
        """Return those of some ids of which there are versions under other ids."""
        return self._groups.intersection(ids.to_pylist()) if self._groups else set()


@dataclass(frozen=True)
class _CurrentVersion:
    """The current version of an id so far.

    edited: its time in microseconds. text: the hash of its text. visibility: its place among
    `VISIBILITIES`. stored: whether the lake holds a version of this id. row: its place in the piece
    at hand, or -1.
    """

    edited: int
    text: int
    visibility: int
    stored: bool
    row: int


class _SeenVersions:
    """The versions that an ingest passed on as new, by the hashes of their ids; each id once.

    They lie in sorted runs, each more than twice as long as the next: a version is sorted again
    as often as the logarithm of their number, and not with every piece.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[np.ndarray, ...]] = []

    def add(self, *columns: np.ndarray) -> None:
        """Add the ids, texts, times and visibilities of some versions, int64 (n,) each."""
        while self._runs and len(self._runs[-1][0]) <= 2 * len(columns[0]):
            columns = tuple(map(np.concatenate, zip(self._runs.pop(), columns, strict=True)))
        order = np.argsort(columns[0], kind="stable")
        self._runs.append(tuple(column[order] for column in columns))

    def find(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return whether each id was seen, (n,), and the other columns of its version, (3, n)."""
        seen, columns = np.zeros(len(ids), bool), np.zeros((3, len(ids)), np.int64)
        order = np.argsort(ids)  # looking up in order finds most of a long run in the cache
        for run_ids, *run in self._runs:
            places = np.minimum(np.searchsorted(run_ids, ids[order]), len(run_ids) - 1)
            here = run_ids[places] == ids[order]
            found, at = order[here], places[here]
            seen[found] = True
            for column, values in zip(columns, run, strict=True):
                column[found] = values[at]
        return seen, columns


@dataclass
class Versions:
    """The versions seen in one ingest.

    _replacing: for an id whose row is replaced, the version that replaces it and its row.
    _vouched: rows that the lake holds without knowing who may read them, and that now say so.
    """

    _seen: _SeenVersions = field(default_factory=_SeenVersions)
    _replacing: dict[str, tuple[_CurrentVersion, pa.Table]] = field(default_factory=dict)
    _vouched: list[pa.Table] = field(default_factory=list)

    def sort_out(self, posts: pa.Table, stored: pa.Table) -> VersionOutcome:
        """Decide on the next piece of an ingest.

        posts: of `POST_SCHEMA`. stored: the lake's rows with the same ids, of `STORED_SCHEMA`.
        """
        ids, texts, edited = _hashes(posts["id"]), _hashes(posts["text"]), _times(posts)
        facts = ids, texts, edited, _visibilities(posts["visibility"])
        first = np.unique(ids, return_index=True)[1]
        is_repeat = np.ones(len(ids), bool)
        is_repeat[first] = False
        is_repeated = np.isin(ids, ids[is_repeat])  # within this piece, all of its rows
        was_seen = is_repeated | self._seen.find(ids)[0] | _is_in(posts["id"], stored["id"])
        decision = np.full(posts.num_rows, _NEW)
        decision[_adds_nothing(posts, stored) & ~is_repeated] = _KNOWN
        superseded = self._compare(
            posts,
            stored,
            np.flatnonzero(was_seen & (decision == _NEW)),
            facts,
            decision,
        )
        self._vouched.append(posts.filter(pa.array(_vouches(posts, stored) & (decision == _KNOWN))))
        new = decision == _NEW
        if new.any():
            self._seen.add(*(fact[new] for fact in facts))
        return VersionOutcome(
            posts.filter(pa.array(new)),
            int((decision == _KNOWN).sum()),
            posts.filter(pa.array(decision == _TAKEN)),
            superseded,
        )

    def replaced(self) -> pa.Array:
        """Return the ids whose rows, in the lake or in this ingest, another row replaces."""
        replaced = pa.array(list(self._replacing), pa.string())
        return pa.concat_arrays([replaced, *self.vouched()["id"].chunks])

    def replacing(self) -> list[pa.RecordBatch]:
        """Return the rows that replace them, in the order in which the ids were first replaced."""
        tables = [row for _, row in self._replacing.values()] + [self.vouched()]
        return pa.concat_tables(tables).combine_chunks().to_batches()

    def vouched(self) -> pa.Table:
        """Return the rows that only add who may read them, each id once, with the narrowest."""
        rows = pa.concat_tables([POST_SCHEMA.empty_table(), *self._vouched])
        rows = rows.filter(pc.invert(pc.is_in(rows["id"], pa.array(self._replacing, pa.string()))))
        narrowest = np.argsort(-_visibilities(rows["visibility"]), kind="stable")
        first = np.unique(_hashes(rows["id"])[narrowest], return_index=True)[1]
        return rows.take(pa.array(np.sort(narrowest[first]))).combine_chunks()

    def edits(self) -> list[tuple[str, datetime]]:
        """Return the replaced ids that the lake holds, each with the time of its new version."""
        return [
            (id_, row["edited"][0].as_py())
            for id_, (current, row) in self._replacing.items()
            if current.stored
        ]

    def _compare(
        self,
        posts: pa.Table,
        stored: pa.Table,
        rows: np.ndarray,
        facts: tuple[np.ndarray, ...],
        decision: np.ndarray,
    ) -> list[str]:
        """Decide one by one on the rows whose id was seen before, and return the superseded ids.

        facts: the ids, texts, times and visibilities of all rows. decision: of all rows, written
        here.
        """
        ids, texts, edited, visibilities = facts
        names = posts["id"].take(pa.array(rows)).to_pylist()
        versions = self._current_versions(names, ids[rows], stored)
        superseded = []
        for row, name in zip(rows.tolist(), names, strict=True):
            current = versions.get(name)
            coming = _CurrentVersion(
                int(edited[row]),
                int(texts[row]),
                int(visibilities[row]),
                bool(current and current.stored),
                row,
            )
            if current is None:
                versions[name] = coming
            elif coming.edited > current.edited:
                if current.row >= 0 and decision[current.row] == _NEW:
                    # it is of this piece and was not passed on yet, so it need not be replaced
                    decision[current.row] = _OLD
                    superseded.append(name)
                else:
                    decision[row] = _OLD  # not new: it goes into the lake as a replacement
                    if not current.stored or name in self._replacing:
                        superseded.append(name)
                    self._replacing[name] = (coming, posts.slice(row, 1))
                versions[name] = coming
            elif coming.edited < current.edited:
                decision[row] = _OLD
                superseded.append(name)
            elif coming.text != current.text:
                decision[row] = _TAKEN
            elif not _says_more(coming.visibility, current.visibility):
                decision[row] = _KNOWN
            elif current.visibility == _UNKNOWN and current.stored and name not in self._replacing:
                decision[row] = _KNOWN
                self._vouched.append(posts.slice(row, 1))
                versions[name] = coming
            else:
                if current.row >= 0 and decision[current.row] == _NEW:
                    decision[current.row] = _KNOWN
                else:
                    is_first = current.stored and name not in self._replacing
                    decision[row] = _OLD if is_first else _KNOWN
                    self._replacing[name] = (coming, posts.slice(row, 1))
                versions[name] = coming
        return superseded

    def _current_versions(
        self, names: list[str], ids: np.ndarray, stored: pa.Table
    ) -> dict[str, _CurrentVersion]:
        """Return the current versions of some ids before this piece, by id.

        A row of this ingest outranks the lake's, and a replacement outranks both.
        """
        wanted = stored.filter(pc.is_in(stored["id"], pa.array(names, pa.string())))
        rows = zip(
            wanted["id"].to_pylist(),
            _hashes(wanted["text"]).tolist(),
            _times(wanted).tolist(),
            _visibilities(wanted["visibility"]).tolist(),
            strict=True,
        )
        found = {
            name: _CurrentVersion(edited, text, visibility, True, -1)
            for name, text, edited, visibility in rows
        }
        is_seen, columns = self._seen.find(ids)
        for name, seen, text, edited, visibility in zip(
            names, is_seen.tolist(), *columns.tolist(), strict=True
        ):
            if seen:
                found[name] = _CurrentVersion(edited, text, visibility, False, -1)
        for name in names:
            if name in self._replacing:
                found[name] = replace(self._replacing[name][0], row=-1)
        return found


def _adds_nothing(posts: pa.Table, stored: pa.Table) -> np.ndarray:
    """Return which posts the lake holds with the same text and the same `edited`, bool (n,).

    Not those that are for fewer readers than the lake knows; `_vouches` finds those of which it
    does not know who may read them.
    """
    if not stored.num_rows:
        return np.zeros(posts.num_rows, bool)
    place = pc.index_in(posts["id"], stored["id"].combine_chunks())
    text, edited, visibility = (
        stored[name].combine_chunks().take(place) for name in ("text", "edited", "visibility")
    )
    first = pc.and_(pc.is_null(posts["edited"]), pc.is_null(edited))
    same = pc.and_(
        pc.equal(posts["text"], text), pc.or_kleene(first, pc.equal(posts["edited"], edited))
    )
    is_held = pc.fill_null(pc.and_kleene(pc.is_valid(place), same), False).to_numpy()
    held = _visibilities(pc.fill_null(visibility, VISIBILITIES[0]))
    return is_held & ~_narrows(_visibilities(posts["visibility"]), held)


def _says_more(coming: Any, current: Any) -> Any:
    """Return whether a visibility takes the place of another; both as places, one or many."""
    return (coming != _UNKNOWN) & ((current == _UNKNOWN) | (coming > current))


def _narrows(coming: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return whether a visibility is narrower than another, and both are known, bool (n,)."""
    return _says_more(coming, current) & (current != _UNKNOWN)


def _visibilities(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return the places of visibilities among `VISIBILITIES`, widest first, int64 (n,)."""
    return pc.index_in(column, pa.array(VISIBILITIES)).to_numpy().astype(np.int64)


def _vouches(posts: pa.Table, stored: pa.Table) -> np.ndarray:
    """Return which posts say who may read them where the lake does not know, bool (n,)."""
    unknown = stored["id"].filter(pc.equal(stored["visibility"], "unknown"))
    says = pc.not_equal(posts["visibility"], "unknown").to_numpy()
    return says & _is_in(posts["id"], unknown)


def _times(rows: pa.Table) -> np.ndarray:
    """Return `edited` in microseconds, int64 (n,); `_FIRST` for a version without it."""
    return pc.fill_null(rows["edited"].cast(pa.int64()), _FIRST).to_numpy()


def _is_in(names: pa.ChunkedArray, of: pa.ChunkedArray) -> np.ndarray:
    return pc.is_in(names, of.combine_chunks()).to_numpy()


def _hashes(texts: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return hashes of texts, int64 (n,).

    They serve to compare within this process: another process has others, and no file holds them.
    """
    return np.fromiter(map(hash, texts.to_pylist()), np.int64, len(texts))
