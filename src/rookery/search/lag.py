"""Lag: since when the search index lacks what has arrived, and why, for whoever searches it.

A search goes on while nobody writes the index, while the disk is full or while damaged files are
made again; what is hidden is hidden all the same (`visible.py`). Only new posts are missing then,
and this says so. The writer notes what keeps it from writing in a file of a fixed size, which is
overwritten in place, so that it can be written on a full disk.

It is looked at once a second at most, whatever is searched for.
"""

import contextlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rookery.core.atomic import write_atomically
from rookery.core.context import Clock
from rookery.core.home import Home
from rookery.core.locks import is_held
from rookery.posts import feed
from rookery.posts.live import live_log
from rookery.search.engine.filling import may_lift
from rookery.search.engine.writer import Cursor

WRITER_LOCK = "writer.lock"
"""Held by the one process that writes the index."""
NOBODY = "no process keeps the index current (`rookery search index --follow` does)"
BUSY = "its writer is still taking it in"
DISK_FULL = "the disk is full"
UNANSWERED = "they do not answer, and are being started again"
DAMAGED = "its files are damaged, and are being made again"

_TROUBLE, _TROUBLE_BYTES = "trouble.json", 512
_LOOK_SECONDS = 1.0
_PATIENCE_SECONDS = 3.0  # of a writer that is at work


@dataclass(frozen=True)
class Lag:
    """That an index lacks posts. committed: as of when it is; None where nothing is in it yet.

    shards_missing: how many of its `shards` do not answer, of which every post is missing.
    """

    committed: datetime | None
    why: str
    shards_missing: int = 0
    shards: int = 1

    def to_dict(self) -> dict[str, str | int | None]:
        """Return it as plain values."""
        committed = None if self.committed is None else self.committed.isoformat()
        told: dict[str, str | int | None] = {"committed": committed, "why": self.why}
        if self.shards_missing:
            told |= {"shards_missing": self.shards_missing, "shards": self.shards}
        return told

    def line(self) -> str:
        """Return it as a sentence."""
        if self.shards_missing:
            of = f"{self.shards_missing} of the {self.shards} shards of the index"
            return f"The posts in {of} are missing: {self.why}."
        if self.committed is None:
            return f"Nothing is in the index yet: {self.why}."
        return f"Posts since {self.committed:%Y-%m-%d %H:%M:%S} UTC are missing: {self.why}."


def lag_of_shards(lags: Sequence[Lag | None], shards: int, why: str | None = None) -> Lag | None:
    """Return the lag of an index of so many shards, of those of the shards that answered.

    why: what a shard said that cannot be asked. Of several that lag the one that is furthest
    behind is told.
    """
    missing = shards - len(lags)
    if missing:
        return Lag(None, why or UNANSWERED, missing, shards)
    behind = [lag for lag in lags if lag is not None]
    if not behind:
        return None
    return min(behind, key=lambda lag: lag.committed.timestamp() if lag.committed else 0.0)


class LagWatch:
    """What tells the lag of a home's index; several threads may ask it."""

    def __init__(self, home: Home, clock: Clock):
        self._home, self._clock = home, clock
        self._lock = threading.Lock()
        self._lag: Lag | None = None
        self._looked_seconds = float("-inf")
        self._stuck: tuple[str, float] | None = None  # the commit that lags, and since when
        self._read, self._lifts = 0, False  # of the log: up to where, and whether something lifts

    def lag(self, cursor: Cursor) -> Lag | None:
        """Return the lag of an index that is at a cursor; None where it lacks nothing."""
        with self._lock:
            now = self._clock.monotonic_seconds()
            if now - self._looked_seconds >= _LOOK_SECONDS:
                self._looked_seconds = now
                self._lag = self._look(cursor, now)
            return self._lag

    def _look(self, cursor: Cursor, now: float) -> Lag | None:
        if not self._is_behind(cursor):
            self._stuck = None
            return None
        committed = datetime.fromisoformat(cursor.committed) if cursor.committed else None
        if not is_held(self._home.search / WRITER_LOCK):
            return Lag(committed, NOBODY)
        if trouble := told_trouble(self._home):
            return Lag(committed, trouble)
        if self._stuck is None or self._stuck[0] != cursor.committed:
            self._stuck = cursor.committed, now
        return Lag(committed, BUSY) if now - self._stuck[1] >= _PATIENCE_SECONDS else None

    def _is_behind(self, cursor: Cursor) -> bool:
        """Return whether a post has come, or may be seen again, that the cursor is not past."""
        if feed.latest(self._home) > cursor.feed:
            return True
        with live_log(self._home) as log:
            if log.watermark() == cursor.log:
                return False
            if cursor.log >= self._read:
                self._read, self._lifts = cursor.log, False
            for event in log.rows_after(self._read):
                self._read, self._lifts = event[-1], self._lifts or may_lift(event)
        return self._lifts


def tell_trouble(home: Home, what: str) -> None:
    """Note what keeps the writer from writing; empty: nothing does."""
    path = home.search / _TROUBLE
    text = json.dumps(what).ljust(_TROUBLE_BYTES).encode()
    with contextlib.suppress(OSError):  # it is a word for people, and writing goes before
        if not path.exists() or path.stat().st_size != _TROUBLE_BYTES:
            write_atomically(path, text)
            return
        with open(path, "r+b") as file:
            file.write(text)


def told_trouble(home: Home) -> str:
    """Return what keeps the writer from writing; empty if nothing does."""
    try:
        return str(json.loads((home.search / _TROUBLE).read_bytes()))
    except (OSError, ValueError):
        return ""
