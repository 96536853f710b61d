"""The live log: what happened to posts after they were ingested, in one rising sequence (SQLite, WAL).

For now it holds what must be forgotten: posts by id, and authors with all they wrote or will write.
A forgotten post is in the log before `forget` returns, and every reader asks the log itself, so
that it is hidden from that moment in every process.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pyarrow as pa

from rookery.core.context import Clock
from rookery.core.digest import digest_value
from rookery.core.errors import StorageError
from rookery.core.home import Home

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('forget_post', 'forget_author')),
    subject TEXT NOT NULL,
    at TEXT NOT NULL,
    reason TEXT NOT NULL,
    UNIQUE (kind, subject)
);
"""

Kind = Literal["forget_post", "forget_author"]
_MEND = "Free some space, or wait until the process that holds it is done, and run the command again"
_PARAMETERS = 30_000  # SQLite takes at most 32,766 in one statement


@dataclass(frozen=True)
class Forgotten:
    """All that was forgotten up to one moment. Ask it for many posts at once; it does not change."""

    posts: frozenset[str]
    authors: frozenset[str]
    watermark: int

    @cached_property
    def post_array(self) -> pa.Array:
        """The posts as an Arrow array, sorted."""
        return pa.array(sorted(self.posts), pa.string())

    @cached_property
    def author_array(self) -> pa.Array:
        """The authors as an Arrow array, sorted."""
        return pa.array(sorted(self.authors), pa.string())

    @property
    def digest(self) -> str:
        """Names the content among a stage's inputs."""
        return digest_value({"posts": sorted(self.posts), "authors": sorted(self.authors)})

    def holds(self, post_id: str, author: str) -> bool:
        return post_id in self.posts or author in self.authors


class LiveLog:
    """The home's log. Cheap to open; safe to use from several processes, one object a thread."""

    def __init__(self, home: Home):
        self._connection = sqlite3.connect(home.live, timeout=30, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        self._connection.close()

    def append(self, kind: Kind, subjects: Iterable[str], clock: Clock, reason: str) -> int:
        """Note events in one durable transaction; those noted before are left as they are. Returns how many are new."""
        at = clock.now().isoformat()
        before = self._connection.total_changes
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(
            "INSERT OR IGNORE INTO event (kind, subject, at, reason) VALUES (?, ?, ?, ?)",
            ((kind, subject, at, reason) for subject in subjects),
        )
        self._connection.execute("COMMIT")
        return self._connection.total_changes - before

    def watermark(self) -> int:
        """The highest sequence number so far; 0 for an empty log."""
        return self._connection.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0]

    def forgotten(self) -> Forgotten:
        """All that is forgotten now."""
        rows = self._connection.execute("SELECT seq, kind, subject FROM event").fetchall()
        return Forgotten(
            frozenset(s for _, kind, s in rows if kind == "forget_post"),
            frozenset(s for _, kind, s in rows if kind == "forget_author"),
            max((seq for seq, _, _ in rows), default=0),
        )

    def forgotten_among(self, posts: Sequence[tuple[str, str]]) -> set[str]:
        """Of some posts, given as (id, author), the ids that are forgotten at this moment."""
        ids = self._subjects("forget_post", {post_id for post_id, _ in posts})
        authors = self._subjects("forget_author", {author for _, author in posts})
        return {post_id for post_id, author in posts if post_id in ids or author in authors}

    def _subjects(self, kind: Kind, among: set[str]) -> set[str]:
        found: set[str] = set()
        names = list(among)
        for start in range(0, len(names), _PARAMETERS):
            part = names[start : start + _PARAMETERS]
            marks = ",".join("?" * len(part))
            sql = f"SELECT subject FROM event WHERE kind = ? AND subject IN ({marks})"
            found |= {row[0] for row in self._connection.execute(sql, [kind, *part])}
        return found


@contextmanager
def live_log(home: Home) -> Iterator[LiveLog]:
    """Open the home's log for a while; a log that cannot be read or written is one clear error."""
    try:
        log = LiveLog(home)
        try:
            yield log
        finally:
            log.close()
    except sqlite3.DatabaseError as error:
        raise StorageError(f"the live log cannot be used: {error}", where=home.live, mend=_MEND) from None
