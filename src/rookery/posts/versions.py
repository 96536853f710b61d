"""Versions: of several rows with one id, which one holds, and what becomes of the others.

The later `edited` holds, where a first version has none; of two with the same time the one that
came first. So whatever the order of arrival, the newest text ends in the lake. `Versions` sorts out
one ingest, piece by piece: most posts are new, and only for those whose id was met before is
anything compared.

Not here: reading and writing the lake (`ingest.py`, `lake.py`).
"""

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.posts.post import POST_SCHEMA

ID_TAKEN = "id_taken"

VERSION_COLUMNS = ("id", "text", "edited")
STORED_SCHEMA = pa.schema([POST_SCHEMA.field(name) for name in VERSION_COLUMNS])

_NEW, _KNOWN, _TAKEN, _OLD = range(4)
_FIRST = np.iinfo(np.int64).min  # the time of a version that was never edited


@dataclass(frozen=True)
class VersionOutcome:
    """What became of a piece of an ingest: row by row of it, and of rows that came earlier.

    new: its posts that go into the lake. already_there: how many say nothing new. id_taken: other
    words under an id that has some, without a later time. superseded: ids of rows that a later
    version beat.
    """

    new: pa.Table
    already_there: int
    id_taken: pa.Table
    superseded: list[str]


@dataclass(frozen=True)
class _CurrentVersion:
    """The version that holds for an id so far. row: its place in the piece at hand, or -1."""

    edited: int
    text: int
    stored: bool
    row: int


class _SeenVersions:
    """The versions that an ingest gave out, by the hashes of their ids; each id once.

    They lie in sorted runs, each more than twice as long as the next: a version is sorted in anew
    as often as the logarithm of their number, and not with every piece.
    """

    def __init__(self):
        self._runs: list[tuple[np.ndarray, ...]] = []

    def add(self, *columns: np.ndarray) -> None:
        """Ids, texts, times of some versions, int64 (n,) each."""
        while self._runs and len(self._runs[-1][0]) <= 2 * len(columns[0]):
            columns = tuple(map(np.concatenate, zip(self._runs.pop(), columns, strict=True)))
        order = np.argsort(columns[0], kind="stable")
        self._runs.append(tuple(column[order] for column in columns))

    def find(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of some ids: whether each was met, and the text and the time of its version, (n,)
        each.
        """
        met, texts, edited = np.zeros(len(ids), bool), np.zeros_like(ids), np.zeros_like(ids)
        order = np.argsort(ids)  # looking up in order finds most of a long run in the cache
        for run_ids, run_texts, run_edited in self._runs:
            places = np.minimum(np.searchsorted(run_ids, ids[order]), len(run_ids) - 1)
            here = run_ids[places] == ids[order]
            found, at = order[here], places[here]
            met[found], texts[found], edited[found] = True, run_texts[at], run_edited[at]
        return met, texts, edited


@dataclass
class Versions:
    """The versions met in one ingest. `replacing`: for an id, where the row that replaces an
    earlier one lies.
    """

    _met: _SeenVersions = field(default_factory=_SeenVersions)
    _replacing: dict[str, tuple[_CurrentVersion, pa.Table]] = field(default_factory=dict)

    def sort_out(self, posts: pa.Table, stored: pa.Table) -> VersionOutcome:
        """Take the next piece of an ingest in; `stored`: the lake's rows with its ids, of
        `STORED_SCHEMA`.
        """
        ids, texts = _hashes(posts["id"]), _hashes(posts["text"])
        edited = pc.fill_null(posts["edited"].cast(pa.int64()), _FIRST).to_numpy()
        fate = np.full(posts.num_rows, _NEW)
        known = _says_nothing_new(posts, stored)
        first = np.unique(ids, return_index=True)[1]
        once = np.zeros(len(ids), bool)
        once[first] = True
        met = np.isin(ids, ids[~once]) | self._met.find(ids)[0] | _is_in(posts["id"], stored["id"])
        fate[known & ~np.isin(ids, ids[~once])] = _KNOWN
        superseded = self._compare(
            posts, stored, np.flatnonzero(met & (fate == _NEW)), (ids, texts, edited), fate
        )
        new = fate == _NEW
        if new.any():
            self._met.add(ids[new], texts[new], edited[new])
        return VersionOutcome(
            posts.filter(pa.array(new)),
            int((fate == _KNOWN).sum()),
            posts.filter(pa.array(fate == _TAKEN)),
            superseded,
        )

    def replaced(self) -> pa.Array:
        """The ids whose rows, in the lake or in this ingest, a later version replaces."""
        return pa.array(list(self._replacing), pa.string())

    def replacing(self) -> list[pa.RecordBatch]:
        """The rows that take their places, in the order in which the ids were first replaced."""
        tables = [row for _, row in self._replacing.values()]
        return pa.concat_tables(tables).combine_chunks().to_batches() if tables else []

    def edits(self) -> list[tuple[str, datetime]]:
        """The ids of the lake's posts that are replaced, each with the time of its new version."""
        return [
            (id_, row["edited"][0].as_py())
            for id_, (holder, row) in self._replacing.items()
            if holder.stored
        ]

    def _compare(
        self, posts: pa.Table, stored: pa.Table, rows: np.ndarray, facts, fate: np.ndarray
    ) -> list[str]:
        """Settle the rows whose id was met before, one by one, into `fate`; returns the ids that
        were beaten.
        """
        ids, texts, edited = facts
        names = posts["id"].take(pa.array(rows)).to_pylist()
        holders = self._holders(names, ids[rows], stored)
        beaten = []
        for row, name in zip(rows.tolist(), names, strict=True):
            holder = holders.get(name)
            coming = _CurrentVersion(
                int(edited[row]), int(texts[row]), bool(holder and holder.stored), row
            )
            if holder is None:
                holders[name] = coming
            elif coming.edited > holder.edited:
                if (
                    holder.row >= 0 and fate[holder.row] == _NEW
                ):  # of this piece: it was not given out yet
                    fate[holder.row] = _OLD
                    beaten.append(name)
                else:
                    fate[row] = _OLD
                    if not holder.stored or name in self._replacing:
                        beaten.append(name)
                    self._replacing[name] = (coming, posts.slice(row, 1))
                holders[name] = coming
            elif coming.edited < holder.edited:
                fate[row] = _OLD
                beaten.append(name)
            else:
                fate[row] = _KNOWN if coming.text == holder.text else _TAKEN
        return beaten

    def _holders(
        self, names: list[str], ids: np.ndarray, stored: pa.Table
    ) -> dict[str, _CurrentVersion]:
        """What holds so far for some ids: the lake's row, this ingest's, or what replaces one of
        them.
        """
        wanted = stored.filter(pc.is_in(stored["id"], pa.array(names, pa.string())))
        held = zip(
            wanted["id"].to_pylist(),
            _hashes(wanted["text"]).tolist(),
            _times(wanted).tolist(),
            strict=True,
        )
        found = {name: _CurrentVersion(edited, text, True, -1) for name, text, edited in held}
        for name, met, text, edited in zip(
            names, *(facts.tolist() for facts in self._met.find(ids)), strict=True
        ):
            if met:
                found[name] = _CurrentVersion(edited, text, False, -1)
        for name in names:
            if name in self._replacing:
                holder = self._replacing[name][0]
                found[name] = _CurrentVersion(holder.edited, holder.text, holder.stored, -1)
        return found


def _says_nothing_new(posts: pa.Table, stored: pa.Table) -> np.ndarray:
    """Which posts the lake holds with the same words and the same time of their version."""
    if not stored.num_rows:
        return np.zeros(posts.num_rows, bool)
    place = pc.index_in(posts["id"], stored["id"].combine_chunks())
    text, edited = (
        stored["text"].combine_chunks().take(place),
        stored["edited"].combine_chunks().take(place),
    )
    first = pc.and_(pc.is_null(posts["edited"]), pc.is_null(edited))
    same = pc.and_(
        pc.equal(posts["text"], text), pc.or_kleene(first, pc.equal(posts["edited"], edited))
    )
    return pc.fill_null(pc.and_kleene(pc.is_valid(place), same), False).to_numpy()


def _times(rows: pa.Table) -> np.ndarray:
    return pc.fill_null(rows["edited"].cast(pa.int64()), _FIRST).to_numpy()


def _is_in(names: pa.ChunkedArray, of: pa.ChunkedArray) -> np.ndarray:
    return pc.is_in(names, of.combine_chunks()).to_numpy()


def _hashes(texts: pa.ChunkedArray) -> np.ndarray:
    """Hashes for comparing within this process, int64: not the same in another one, and never
    written down.
    """
    return np.fromiter(map(hash, texts.to_pylist()), np.int64, len(texts))
