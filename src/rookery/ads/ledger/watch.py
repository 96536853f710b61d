"""Watching: whether a store may have changed, told so cheaply that every request can ask.

SQLite tells it by a number that moves with each commit of another connection. PostgreSQL is asked
some times a second. Not here: what changed (`book.py`).
"""

import sqlite3
import threading

from sqlalchemy.engine import Engine

from rookery.core.context import Clock

ASK_SECONDS = 0.1


class Watch:
    """A watch over one store."""

    def __init__(self, store: Engine, clock: Clock) -> None:
        self._clock, self._asked = clock, float("-inf")
        self._version = -1
        self._lock = threading.Lock()
        path = store.url.database
        is_file = store.dialect.name == "sqlite" and path not in (None, "", ":memory:")
        self._own = sqlite3.connect(str(path), check_same_thread=False) if is_file else None

    def changed(self) -> bool:
        """Return whether the store may have changed since this was asked before."""
        with self._lock:
            if self._own is not None:
                before = self._version
                self._version = self._own.execute("PRAGMA data_version").fetchone()[0]
                return self._version != before
            now = self._clock.monotonic_seconds()
            if now - self._asked < ASK_SECONDS:
                return False
            self._asked = now
            return True

    def close(self) -> None:
        """End the watch."""
        if self._own is not None:
            self._own.close()
