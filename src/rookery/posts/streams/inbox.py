"""Inbox: what a live stream brought and the lake has not taken over yet, with the place up to
which it was read.

Both lie in the live log's file, so that one transaction holds the posts of some moments, what
happened to others (`live.py`) and the stream's cursor: after a kill the stream is read on from
there, and nothing is lost or taken twice. A post leaves here when the lake has it.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from rookery.core.context import Clock, Context
from rookery.core.home import Home
from rookery.posts import ingest
from rookery.posts.event import Event
from rookery.posts.live import LiveLog, live_log
from rookery.posts.places import Scrubs, scrubbed
from rookery.posts.post import Post, from_row, to_batch
from rookery.posts.sources.files import in_batches

_SCHEMA = """
CREATE TABLE IF NOT EXISTS arrived (seq INTEGER PRIMARY KEY AUTOINCREMENT, post TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cursor (stream TEXT PRIMARY KEY, position TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS alias (stream TEXT, local TEXT, id TEXT NOT NULL, PRIMARY KEY (stream, local));
CREATE TABLE IF NOT EXISTS gap (
    stream TEXT NOT NULL, since TEXT NOT NULL, until TEXT NOT NULL, why TEXT NOT NULL,
    UNIQUE (stream, since, until, why)
);
"""

_FIELDS = tuple(field.name for field in fields(Post))
_ENCODE = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, default=datetime.isoformat
).encode


@dataclass(frozen=True)
class Gap:
    """A time of which a stream may not have told everything; times are ISO 8601, UTC, `since` empty
    if unknown.
    """

    stream: str
    since: str
    until: str
    why: str


@dataclass(frozen=True)
class StreamMessage:
    """What one message of a stream comes to.

    aliases: the stream's own short ids of posts, and the posts' ids. gone: short ids of posts that
    were deleted.
    """

    posts: tuple[Post, ...] = ()
    events: tuple[Event, ...] = ()
    set_aside: str | None = None
    position: str | None = None
    time: datetime | None = None
    aliases: tuple[tuple[str, str], ...] = ()
    gone: tuple[str, ...] = ()
    gap: Gap | None = None


class Inbox:
    """The streams' part of an open live log."""

    def __init__(self, log: LiveLog):
        self._log = log
        for statement in filter(str.strip, _SCHEMA.split(";")):
            log.execute(statement)

    def store(self, stream: str, moments: Iterable[StreamMessage], clock: Clock) -> int:
        """Keep what some messages brought, and the cursor after the last of them, in one durable
        transaction.

        Returns how many deletions named a post that did not come from this stream.
        """
        moments = list(moments)
        positions = [moment.position for moment in moments if moment.position is not None]
        with self._log.transaction():
            posts = ([_written(post)] for moment in moments for post in moment.posts)
            self._log.execute_many("INSERT INTO arrived (post) VALUES (?)", posts)
            aliases = ([stream, *alias] for moment in moments for alias in moment.aliases)
            self._log.execute_many("INSERT OR REPLACE INTO alias VALUES (?, ?, ?)", aliases)
            for gap in (moment.gap for moment in moments if moment.gap):
                self._log.execute(
                    "INSERT OR IGNORE INTO gap VALUES (?, ?, ?, ?)", list(asdict(gap).values())
                )
            self._log.add((event for moment in moments for event in moment.events), clock)
            gone = [
                (local, self._post_of(stream, local)) for moment in moments for local in moment.gone
            ]
            forgotten = (
                Event("forget_post", post, note="deleted by its author") for _, post in gone if post
            )
            self._log.add(forgotten, clock)
            if positions:
                self._log.execute(
                    "INSERT OR REPLACE INTO cursor VALUES (?, ?)", [stream, positions[-1]]
                )
        return sum(post is None for _, post in gone)

    def position(self, stream: str) -> str | None:
        """Where to read on; None for a stream that was never followed."""
        row = self._log.execute("SELECT position FROM cursor WHERE stream = ?", [stream]).fetchone()
        return row and row[0]

    def _post_of(self, stream: str, local: str) -> str | None:
        row = self._log.execute(
            "SELECT id FROM alias WHERE stream = ? AND local = ?", [stream, local]
        ).fetchone()
        return row and row[0]

    def gaps(self) -> list[Gap]:
        """All gaps so far, in the order of their ends."""
        return [
            Gap(*row)
            for row in self._log.execute("SELECT stream, since, until, why FROM gap ORDER BY until")
        ]

    def waiting(self) -> int:
        """How many posts the lake has not taken over."""
        return self._log.execute("SELECT count(*) FROM arrived").fetchone()[0]

    def first(self, most: int) -> list[tuple[int, Post]]:
        """The posts that wait longest, with their numbers."""
        rows = self._log.execute("SELECT seq, post FROM arrived ORDER BY seq LIMIT ?", [most])
        return [(seq, _read(text)) for seq, text in rows]

    def taken(self, up_to: int) -> None:
        """The lake has them: their text need not be here any more."""
        self._log.execute("DELETE FROM arrived WHERE seq <= ?", [up_to])

    def erase(self, posts: frozenset[str], authors: frozenset[str], wished: Scrubs) -> int:
        """Remove what waits of some posts and authors, and their aliases, and places that have to
        go.

        Returns how many rows changed. Inside a transaction.
        """
        changed = 0
        for seq, text in self._log.execute("SELECT seq, post FROM arrived").fetchall():
            post = _read(text)
            left = from_row(scrubbed(to_batch([post]), wished).to_pylist()[0])
            if post.id in posts or post.author in authors:
                self._log.execute("DELETE FROM arrived WHERE seq = ?", [seq])
            elif left.place != post.place:
                self._log.execute(
                    "UPDATE arrived SET post = ? WHERE seq = ?", [_written(left), seq]
                )
            else:
                continue
            changed += 1
        aliases = self._log.execute("SELECT stream, local, id FROM alias").fetchall()
        for stream, local, _ in (alias for alias in aliases if alias[2] in posts):
            self._log.execute("DELETE FROM alias WHERE stream = ? AND local = ?", [stream, local])
        return changed


def flush_to_lake(home: Home, context: Context, most: int = 50_000) -> ingest.IngestReport | None:
    """Bring what waits (at most so many posts) into the lake in one transaction; None if nothing
    waits.

    A kill between the lake's commit and the removal here brings the same posts again, which the
    lake then holds already. Raises `BusyError` while another process writes to the lake.
    """
    with live_log(home) as log:
        inbox = Inbox(log)
        waiting = inbox.first(most)
        if not waiting:
            return None
        first, last = waiting[0][0], waiting[-1][0]
        posts = _newest_versions([post for _, post in waiting])
        key = f"follow-{first:012d}-{last:012d}"
        report = ingest.ingest_batches(home, "stream", key, lambda: in_batches(posts), context)
        inbox.taken(last)
        return report


def _newest_versions(posts: Sequence[Post]) -> list[Post]:
    """Each post once, as its latest version has it: a stream repeats, and may bring an edit before
    what it edits.
    """
    newest: dict[str, Post] = {}
    for post in posts:
        known = newest.get(post.id)
        if known is None or (post.edited or post.created) > (known.edited or known.created):
            newest[post.id] = post
    return list(newest.values())


def _written(post: Post) -> str:
    """A post as JSON, what it lacks left out. Not by `asdict`, whose copies took a third of a
    follower's time.
    """
    return _ENCODE({name: value for name in _FIELDS if (value := getattr(post, name)) is not None})


def _read(text: str) -> Post:
    plain = json.loads(text)
    for name in ("created", "edited"):
        if name in plain:
            plain[name] = datetime.fromisoformat(plain[name])
    return Post(**plain)
