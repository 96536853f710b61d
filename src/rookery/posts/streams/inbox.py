"""Inbox: posts that a live stream brought and the lake has not taken over, and its position.

Both lie in the live log's file, so that one transaction holds the posts of some messages, what
happened to other posts (`live.py`) and the stream's cursor: after a kill the stream resumes there,
and nothing is lost or taken twice. A post leaves the inbox when the lake has it, and keeps the
number that it got when it came (`feed.py`).

Not here: reading the stream (`follow.py`).
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from urllib.parse import urlsplit

from rookery.core.context import Clock, Context
from rookery.core.home import Home
from rookery.posts import ingest
from rookery.posts.event import Event
from rookery.posts.live import LiveLog, live_log
from rookery.posts.log.places import Scrubs, scrubbed
from rookery.posts.numbering.book import Book, open_book
from rookery.posts.post import Post, from_row, to_batch
from rookery.posts.sources.bounds import within_bounds
from rookery.posts.sources.files import in_batches
from rookery.posts.versions import supersedes

_SCHEMA = """
CREATE TABLE IF NOT EXISTS arrived (seq INTEGER PRIMARY KEY AUTOINCREMENT, post TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cursor (stream TEXT PRIMARY KEY, position TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS alias (
    stream TEXT, local TEXT, id TEXT NOT NULL, PRIMARY KEY (stream, local)
);
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
    """A period of which a stream may have left something out.

    since, until: ISO 8601, UTC; `since` is empty if it is unknown.
    """

    stream: str
    since: str
    until: str
    why: str


@dataclass(frozen=True)
class StreamMessage:
    """The content of one message of a stream.

    set_aside: the reason, for a message that is not understood. position: the stream's position
    after it, None if it moves none. aliases: the stream's own short ids of posts, and the posts'
    ids. deleted: short ids of posts that were deleted.
    """

    posts: tuple[Post, ...] = ()
    events: tuple[Event, ...] = ()
    set_aside: str | None = None
    position: str | None = None
    time: datetime | None = None
    aliases: tuple[tuple[str, str], ...] = ()
    deleted: tuple[str, ...] = ()
    gap: Gap | None = None


class Inbox:
    """The streams' part of an open live log."""

    def __init__(self, log: LiveLog):
        self._log = log
        for statement in filter(str.strip, _SCHEMA.split(";")):
            log.execute(statement)
        self._book = Book(log)

    def store(self, stream: str, messages: Iterable[StreamMessage], clock: Clock) -> int:
        """Store what messages brought and the cursor after them, in one durable transaction.

        Returns how many deletions named a post that did not come from this stream.
        """
        messages = list(messages)
        positions = [message.position for message in messages if message.position is not None]
        with self._log.transaction():
            posts = [_to_json(post) for message in messages for post in message.posts]
            rows = enumerate(posts, self._book.take(len(posts)) + 1)
            self._log.execute_many("INSERT INTO arrived (seq, post) VALUES (?, ?)", rows)
            aliases = ([stream, *alias] for message in messages for alias in message.aliases)
            self._log.execute_many("INSERT OR REPLACE INTO alias VALUES (?, ?, ?)", aliases)
            for gap in (message.gap for message in messages if message.gap):
                self._log.execute(
                    "INSERT OR IGNORE INTO gap VALUES (?, ?, ?, ?)", list(asdict(gap).values())
                )
            self._log.add((event for message in messages for event in message.events), clock)
            unknown = self._forget_deleted(stream, messages, clock)
            if positions:
                self._log.execute(
                    "INSERT OR REPLACE INTO cursor VALUES (?, ?)", [stream, positions[-1]]
                )
        return unknown

    def _forget_deleted(self, stream: str, messages: Sequence[StreamMessage], clock: Clock) -> int:
        """Forget the posts that messages deleted, and return how many of them are unknown here."""
        posts = [self._post_of(stream, local) for message in messages for local in message.deleted]
        note = "deleted by its author"
        self._log.add((Event("forget_post", post, note=note) for post in posts if post), clock)
        return posts.count(None)

    def position(self, stream: str) -> str | None:
        """Return where reading resumes; None for a stream that was never followed."""
        row = self._log.execute("SELECT position FROM cursor WHERE stream = ?", [stream]).fetchone()
        return row and row[0]

    def _post_of(self, stream: str, local: str) -> str | None:
        row = self._log.execute(
            "SELECT id FROM alias WHERE stream = ? AND local = ?", [stream, local]
        ).fetchone()
        return row and row[0]

    def gaps(self) -> list[Gap]:
        """Return all gaps so far, in the order of their ends."""
        return [
            Gap(*row)
            for row in self._log.execute("SELECT stream, since, until, why FROM gap ORDER BY until")
        ]

    def waiting(self) -> int:
        """Return how many posts the lake has not taken over."""
        return self._log.execute("SELECT count(*) FROM arrived").fetchone()[0]

    def ids_of(self, server: str, local: str) -> list[str]:
        """Return the ids of the posts to which the streams of a server gave a short id."""
        rows = self._log.execute("SELECT stream, id FROM alias WHERE local = ?", [local])
        same = urlsplit(server.lower()).netloc
        return sorted({post for stream, post in rows if urlsplit(stream.lower()).netloc == same})

    def arrivals(self) -> int:
        """Return the number of the last post that waited, also if the lake has taken it over."""
        row = self._log.execute("SELECT seq FROM sqlite_sequence WHERE name = 'arrived'").fetchone()
        return row[0] if row else 0

    def authors(self) -> dict[str, str]:
        """Return the ids of the posts that wait, each with its author."""
        rows = self._log.execute("SELECT post FROM arrived")
        return {post["id"]: post["author"] for post in (json.loads(text) for (text,) in rows)}

    def first(self, most: int) -> list[tuple[int, Post]]:
        """Return the posts that have waited longest, at most so many, with their numbers."""
        return self.after(0, most)

    def after(self, number: int, most: int) -> list[tuple[int, Post]]:
        """Return the posts that wait and have higher numbers, at most so many, in their order."""
        statement = "SELECT seq, post FROM arrived WHERE seq > ? ORDER BY seq LIMIT ?"
        rows = self._log.execute(statement, [number, most])
        return [(seq, _from_json(text)) for seq, text in rows]

    def taken(self, up_to: int) -> None:
        """Remove the posts up to a number, which the lake has taken over."""
        self._log.execute("DELETE FROM arrived WHERE seq <= ?", [up_to])

    def erase(self, posts: Collection[str], authors: Collection[str], scrubs: Scrubs) -> int:
        """Remove waiting posts of some ids and authors, and places to scrub.

        Returns how many rows changed. The caller must have opened a transaction.
        """
        changed = 0
        for seq, text in self._log.execute("SELECT seq, post FROM arrived").fetchall():
            post = _from_json(text)
            rest = from_row(scrubbed(to_batch([post]), scrubs).to_pylist()[0])
            if post.id in posts or post.author in authors:
                self._log.execute("DELETE FROM arrived WHERE seq = ?", [seq])
            elif rest.place != post.place:
                self._log.execute(
                    "UPDATE arrived SET post = ? WHERE seq = ?", [_to_json(rest), seq]
                )
            else:
                continue
            changed += 1
        return changed

    def erase_aliases(self, posts: Collection[str]) -> int:
        """Remove the short ids of some posts, and return how many there were.

        The caller must have opened a transaction.
        """
        aliases = self._log.execute("SELECT stream, local, id FROM alias") if posts else ()
        gone = [(stream, local) for stream, local, post in aliases if post in posts]
        self._log.execute_many("DELETE FROM alias WHERE stream = ? AND local = ?", gone)
        return len(gone)


def flush_to_lake(home: Home, context: Context, most: int = 50_000) -> ingest.IngestReport | None:
    """Bring what waits, at most so many posts, into the lake in one transaction.

    Returns None if nothing waits. A kill between the lake's commit and the removal here brings the
    same posts again, which the lake then holds already. Raises `BusyError` while another process
    writes to the lake.
    """
    with live_log(home) as log:
        inbox = Inbox(log)
        open_book(home, log)  # of a home of a release before it changes the numbers of what waits
        waiting = inbox.first(most)
        if not waiting:
            return None
        first, last = waiting[0][0], waiting[-1][0]
        numbers, posts = _newest_versions(waiting)
        key = f"follow-{first:012d}-{last:012d}"
        now = context.clock.now()
        report = ingest.ingest_batches(
            home, "stream", key, lambda: within_bounds(in_batches(posts), now), context, numbers
        )
        inbox.taken(last)
        return report


def _newest_versions(waiting: Sequence[tuple[int, Post]]) -> tuple[dict[str, int], list[Post]]:
    """Return each post once, in its latest version, and the number of that by the post's id.

    Both are in the order of the numbers. A stream repeats posts, and may bring an edit before what
    it edits.
    """
    newest: dict[str, tuple[int, Post]] = {}
    for number, post in waiting:
        if post.id not in newest or supersedes(post, newest[post.id][1]):
            newest[post.id] = (number, post)
    found = sorted(newest.values(), key=lambda pair: pair[0])
    return {post.id: number for number, post in found}, [post for _, post in found]


def _to_json(post: Post) -> str:
    """Return a post as JSON, without the fields that are None.

    It does not use `asdict`, whose copies took a third of a follower's time.
    """
    return _ENCODE({name: value for name in _FIELDS if (value := getattr(post, name)) is not None})


def _from_json(text: str) -> Post:
    plain = json.loads(text)
    for name in ("created", "edited"):
        if name in plain:
            plain[name] = datetime.fromisoformat(plain[name])
    return Post(**plain)
