"""Watching: whether what a store sells may have changed, told so cheaply that each request asks.

SQLite tells by a number that moves with each commit of another connection, and then by the version
of the book, that it was not only an event that was booked. PostgreSQL is asked some times a second.
Not here: what changed (`book.py`).
"""

import sqlite3
import threading

from sqlalchemy.engine import Engine

from rookery.ads.ledger.book import BOOK_VERSION
from rookery.core.context import Clock

ASK_SECONDS = 0.1
_VERSION = "SELECT value FROM state WHERE name = ?"


class Watch:
    """A watch over one store."""

    def __init__(self, store: Engine, clock: Clock) -> None:
        self._clock, self._asked = clock, float("-inf")
        self._commits, self._version = -1, b""
        self._lock = threading.Lock()
        path = store.url.database
        is_file = store.dialect.name == "sqlite" and path not in (None, "", ":memory:")
        self._own = sqlite3.connect(str(path), check_same_thread=False) if is_file else None

    def changed(self) -> bool:
        """Return whether what is sold may have changed since this was asked before."""
        with self._lock:
            if self._own is not None:
                return self._has_version_moved(self._own)
            now = self._clock.monotonic_seconds()
            if now - self._asked < ASK_SECONDS:
                return False
            self._asked = now
            return True

    def _has_version_moved(self, connection: sqlite3.Connection) -> bool:
        commits = connection.execute("PRAGMA data_version").fetchone()[0]
        if commits == self._commits:
            return False
        self._commits, before = commits, self._version
        found = connection.execute(_VERSION, [BOOK_VERSION]).fetchone()
        self._version = found[0] if found else b""
        return self._version != before

    def close(self) -> None:
        """End the watch."""
        if self._own is not None:
            self._own.close()
