"""The table of events in SQLite, and the file in which it lies.

`EventTable` inserts and selects rows. It is safe to use from several processes, with one object
for each thread: the file is in WAL mode, so readers do not wait for a writer, and a commit is
flushed to the disk before it returns (`synchronous = FULL`). Other modules store tables of their
own in the same file, so that one transaction covers them and the events (`streams/inbox.py`).

Not here: what the events mean (`live.py`).
"""

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

    def __init__(self, path: Path):
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

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

    def rows_by_time(self) -> Iterable[EventRow]:
        """Return all rows in the order of `happened`, those of one time in the order of the log."""
        return self._connection.execute(f"{_SELECT} ORDER BY happened, seq")

    def rows_of_kind(self, kind: Kind) -> Iterable[EventRow]:
        """Return the rows of a kind in the order of the log."""
        return self._connection.execute(f"{_SELECT} WHERE kind = ? ORDER BY seq", [kind])

    def rows_after(self, number: int) -> Iterable[EventRow]:
        """Return the rows after a sequence number in the order of the log."""
        return self._connection.execute(f"{_SELECT} WHERE seq > ? ORDER BY seq", [number])

    def rows_of_subjects(self, subjects: set[str]) -> list[EventRow]:
        """Return the rows of some posts and authors in the order of the log."""
        found: list[EventRow] = []
        names = sorted(subjects)
        for start in range(0, len(names), _PARAMETERS):
            part = names[start : start + _PARAMETERS]
            marks = ",".join("?" * len(part))
            # each kind is named, so that the unique index, which begins (kind, subject), answers
            for kind in KINDS:
                statement = f"{_SELECT} WHERE kind = ? AND subject IN ({marks})"
                found += self._connection.execute(statement, [kind, *part])
        return sorted(found, key=lambda row: row[-1])

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
