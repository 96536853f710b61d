"""The table of events in SQLite, and the file in which it lies.

`EventTable` inserts and selects rows. It is safe to use from several processes, with one object
for each thread: the file is in WAL mode, so readers do not wait for a writer, and a commit is
flushed to the disk before it returns (`synchronous = FULL`). Other modules store tables of their
own in the same file, so that one transaction covers them and the events (`streams/inbox.py`).

Not here: what the events mean (`live.py`).
"""

import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rookery.posts.event import KINDS, Event, EventRow, Kind, to_columns

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    cause TEXT NOT NULL,
    value TEXT NOT NULL,
    happened TEXT NOT NULL,
    at TEXT NOT NULL,
    note TEXT NOT NULL,
    UNIQUE (kind, subject, cause, value, happened)
);
"""
_WRITTEN = "kind, subject, cause, value, happened, at, note"
_SELECT = f"SELECT {_WRITTEN}, seq FROM event"  # the columns of `EventRow`, in its order
_PARAMETERS = 30_000  # SQLite takes at most 32,766 in one statement


class EventTable:
    """An open SQLite file with the table of events."""

    def __init__(self, path: Path, any_thread: bool = False):
        self._connection = sqlite3.connect(
            path, timeout=30, isolation_level=None, check_same_thread=not any_thread
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def data_version(self) -> int:
        """Return a number that changes when another connection has written to the file."""
        return self._connection.execute("PRAGMA data_version").fetchone()[0]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all that is written inside durable together at the end, or none of it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def insert(self, events: Iterable[Event], at: str) -> int:
        """Insert events that are recorded at a moment, and return how many are new.

        An event that the table holds already is ignored, so that it may be reported again.
        """
        before = self._connection.total_changes
        self._connection.executemany(
            f"INSERT OR IGNORE INTO event ({_WRITTEN}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (to_columns(event, at) for event in events),
        )
        return self._connection.total_changes - before

    def last_number(self) -> int:
        """Return the highest sequence number; 0 for an empty table."""
        return self._connection.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0]

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Make all that is read inside see the table as it was at one moment."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def rows_by_time(self, kinds: Sequence[Kind]) -> Iterable[EventRow]:
        """Return the rows of some kinds in the order of `happened`, then in that of the log."""
        marks = ",".join("?" * len(kinds))
        statement = f"{_SELECT} WHERE kind IN ({marks}) ORDER BY happened, seq"
        return self._connection.execute(statement, kinds)

    def subjects_of_kind(self, kind: Kind, most: int = -1) -> list[str]:
        """Return the posts or authors of a kind, sorted; the index answers without the rows.

        most: return only so many, the first ones; all if it is negative.
        """
        statement = "SELECT subject FROM event WHERE kind = ? LIMIT ?"
        return [subject for (subject,) in self._connection.execute(statement, [kind, most])]

    def numbers_among(self, kind: Kind, names: Iterable[str]) -> dict[str, int]:
        """Return the sequence number of the row of a kind for those names that have one."""
        return {row[1]: row[-1] for row in self._selected(kind, sorted(set(names)))}

    def rows_of_kind(self, kind: Kind) -> Iterable[EventRow]:
        """Return the rows of a kind in the order of the log."""
        return self._connection.execute(f"{_SELECT} WHERE kind = ? ORDER BY seq", [kind])

    def rows_of_cause(self, cause: str) -> Iterable[EventRow]:
        """Return the rows of the states of a cause in the order of the log."""
        where = "kind IN ('state_post', 'state_author') AND cause = ?"
        return self._connection.execute(f"{_SELECT} WHERE {where} ORDER BY seq", [cause])

    def rows_after(self, number: int) -> Iterable[EventRow]:
        """Return the rows after a sequence number in the order of the log."""
        return self._connection.execute(f"{_SELECT} WHERE seq > ? ORDER BY seq", [number])

    def rows_of_subjects(self, subjects: set[str]) -> list[EventRow]:
        """Return the rows of some posts and authors in the order of the log."""
        names = sorted(subjects)
        # each kind is named, so that the unique index, which begins (kind, subject), answers
        found = itertools.chain.from_iterable(self._selected(kind, names) for kind in KINDS)
        return sorted(found, key=lambda row: row[-1])

    def row(self, number: int) -> EventRow:
        """Return the row with a sequence number."""
        return self._connection.execute(f"{_SELECT} WHERE seq = ?", [number]).fetchone()

    def _selected(self, kind: Kind, names: list[str]) -> Iterator[EventRow]:
        for start in range(0, len(names), _PARAMETERS):
            part = names[start : start + _PARAMETERS]
            marks = ",".join("?" * len(part))
            statement = f"{_SELECT} WHERE kind = ? AND subject IN ({marks})"
            yield from self._connection.execute(statement, [kind, *part])

    def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Execute a statement on a table that another module stores in this file."""
        return self._connection.execute(statement, values)

    def execute_many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute a statement for many rows, inside a transaction that is open."""
        self._connection.executemany(statement, rows)

    def compact(self) -> None:
        """Write the file anew without its free pages, which still hold what was deleted.

        The write-ahead log is emptied too. Raises `sqlite3.OperationalError` while another process
        reads the file.
        """
        self._connection.execute("VACUUM")
        if self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise sqlite3.OperationalError("another process reads it")
