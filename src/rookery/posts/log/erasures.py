"""What the live log keeps of past erasures: how far they came, and for whose sake a post went.

An erased post has left the lake, which alone said who wrote it. So the log keeps the hash of its id
(`hash_ids`) and the number of the event that asked for it: whoever knows the id learns that the
post is forgotten, also where only its author was, and since when. The hash gives no id back.

An erasure that has ended is not done again: the next one looks only for what was asked after it.
Not here: the erasing itself (`erase.py`), and what was erased from an artifact (`core/lineage.py`).
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from rookery.core.digest import hash_ids
from rookery.posts.event import Event, from_columns
from rookery.posts.live import LiveLog

_SCHEMA = """
CREATE TABLE IF NOT EXISTS erased_post (post INTEGER PRIMARY KEY, event INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS erasure (mark TEXT PRIMARY KEY, number INTEGER NOT NULL);
"""
_AT_ONCE = 30_000  # SQLite takes at most 32,766 parameters in one statement
_UP_TO, _ARRIVALS = "up_to", "arrivals"


class Erasures:
    """The part of an open live log that past erasures wrote."""

    def __init__(self, log: LiveLog):
        self._log = log
        for statement in filter(str.strip, _SCHEMA.split(";")):
            log.execute(statement)

    def up_to(self) -> int:
        """Return the number of the last event whose erasure has ended; 0 if none has."""
        return self._mark(_UP_TO)

    def asked_since(self, watermark: int) -> dict[str, str]:
        """Return the posts and authors forgotten after a watermark, each with the first time.

        The times are ISO 8601, UTC, and so sort as text.
        """
        statement = (
            "SELECT subject, at FROM event WHERE seq > ? "
            "AND kind IN ('forget_post', 'forget_author') ORDER BY seq DESC"
        )
        return dict(self._log.execute(statement, [watermark]))

    def ended(self, up_to: int) -> None:
        """Record that all that the events up to a number ask for is erased."""
        self._set(_UP_TO, up_to)

    def is_compact(self, arrivals: int) -> bool:
        """Return whether no post was removed from the log's file since it was compacted.

        arrivals: how many posts have waited in it so far.
        """
        return self._mark(_ARRIVALS) == arrivals

    def compacted(self, arrivals: int) -> None:
        """Record that the log's file was compacted, when so many posts had waited and none did."""
        self._set(_ARRIVALS, arrivals)

    def note(self, posts: Mapping[str, str]) -> None:
        """Record that posts go, given with their authors, and the first event that asks for it.

        A post for which no event asks is not recorded. The transaction is durable on return.
        """
        by_post = self._log.numbers_among("forget_post", posts)
        by_author = self._log.numbers_among("forget_author", posts.values())
        asked = {
            post: min(filter(None, (by_post.get(post), by_author.get(author))), default=0)
            for post, author in posts.items()
        }
        rows = zip(_keys(asked), asked.values(), strict=True)
        with self._log.transaction():
            self._log.execute_many(
                "INSERT OR IGNORE INTO erased_post VALUES (?, ?)", (row for row in rows if row[1])
            )

    def event_of(self, post_id: str) -> tuple[Event, datetime] | None:
        """Return the event for whose sake a post was erased, and when it was recorded, or None."""
        found = self._log.execute(
            "SELECT event FROM erased_post WHERE post = ?", _keys([post_id])
        ).fetchone()
        return found and from_columns(self._log.row(found[0]))

    def has(self, event: int) -> bool:
        """Return whether a post was erased for the sake of an event, given by its number."""
        statement = "SELECT 1 FROM erased_post WHERE event = ? LIMIT 1"
        return self._log.execute(statement, [event]).fetchone() is not None

    def among(self, names: Iterable[str]) -> set[str]:
        """Return those of some ids whose posts were erased."""
        by_key = dict(zip(_keys(names := sorted(set(names))), names, strict=True))
        return {by_key[key] for key in self._found(list(by_key))}

    def _found(self, keys: list[int]) -> Iterator[int]:
        for start in range(0, len(keys), _AT_ONCE):
            part = keys[start : start + _AT_ONCE]
            marks = ",".join("?" * len(part))
            statement = f"SELECT post FROM erased_post WHERE post IN ({marks})"
            yield from (key for (key,) in self._log.execute(statement, part))

    def _mark(self, name: str, default: int = 0) -> int:
        found = self._log.execute("SELECT number FROM erasure WHERE mark = ?", [name]).fetchone()
        return found[0] if found else default

    def _set(self, name: str, number: int) -> None:
        self._log.execute("INSERT OR REPLACE INTO erasure VALUES (?, ?)", [name, number])


def _keys(names: Iterable[str]) -> list[int]:
    """Return the hashes of names as SQLite stores them, in 64 bits with a sign."""
    return hash_ids(names).view("<i8").tolist()
