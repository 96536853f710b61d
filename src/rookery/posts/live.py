"""The live log: what happened to posts and their authors, in one rising sequence (SQLite, WAL).

Some events are for good: a post or an author is forgotten, a post is replaced by a later version.
Others are states that come and go (suspended, protected, withheld, ...) or an author's word on a
use. `Restrictions` is what all of them together say at one moment. An event is in the log before the
call that notes it returns, and every reader asks the log itself, so that it holds from that moment
in every process.

Not here: what follows from a standing for one post and one use (`rights.py`).
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal, get_args

import pyarrow as pa

from rookery.core.context import Clock
from rookery.core.digest import digest_value
from rookery.core.errors import StorageError
from rookery.core.home import Home
from rookery.posts.post import USES, Use

ForGood = Literal["forget_post", "forget_author"]
Kind = Literal[
    ForGood,
    "replace_post",  # value: the id of the later version
    "edit_post",  # value: the version of the lake that first holds the new text
    "state_post",  # cause: one of CAUSES; value: "on" or "off"
    "state_author",
    "consent_author",  # cause: a use; value: "yes", "no", or "" for nothing said
    # of an author; value: up to this post id, "" for all. With the cause THE_POST: of that post
    "scrub_place",
]
KINDS: tuple[str, ...] = tuple(get_args(ForGood)) + tuple(
    k for k in get_args(Kind) if k not in get_args(ForGood)
)
ONCE = ("forget_post", "forget_author", "replace_post")
"""Kinds of which a second event for one subject says nothing new."""

Cause = Literal[
    "suspended",
    "protected",
    "deactivated",
    "taken_down",
    "deleted",
    "dropped",
    "withheld",
    "signed_in_only",
]
CAUSES: tuple[str, ...] = get_args(Cause)
"""Why a post or an author is hidden for now. `deleted` is an account whose owner may still come
back.
"""

THE_POST = "post"
FORGOTTEN = "forgotten"
SUPERSEDED = "superseded"

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
_COLUMNS = f"{_WRITTEN}, seq"
_MEND = (
    "Free some space, or wait until the process that holds it is done, and run the command again"
)
_PARAMETERS = 30_000  # SQLite takes at most 32,766 in one statement


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a post or an author. `happened` is the source's own time, where it
    tells one.

    `note` says why, for people: a reason, the countries of a withholding.
    """

    kind: Kind
    subject: str
    cause: str = ""
    value: str = ""
    happened: datetime | None = None
    note: str = ""


@dataclass(frozen=True)
class Restrictions:
    """What the log says up to one moment. Ask it for many posts at once; it does not change.

    posts, authors: those that are hidden, each with the reason: `forgotten`, `superseded` or a
    cause. consent: for a use, the authors that said yes (True) or no (False).
    edited: posts whose text changed, with the version of the lake that first holds the newest one.
    """

    posts: Mapping[str, str] = field(default_factory=dict)
    authors: Mapping[str, str] = field(default_factory=dict)
    consent: Mapping[Use, Mapping[str, bool]] = field(default_factory=dict)
    edited: Mapping[str, int] = field(default_factory=dict)
    watermark: int = 0

    @cached_property
    def post_reasons(self) -> tuple[pa.Array, pa.Array]:
        """The hidden posts, sorted, and their reasons, as Arrow arrays."""
        return _parallel(self.posts)

    @cached_property
    def author_reasons(self) -> tuple[pa.Array, pa.Array]:
        """The hidden authors, sorted, and their reasons, as Arrow arrays."""
        return _parallel(self.authors)

    def said(self, use: Use, yes: bool) -> pa.Array:
        """The authors that said this on a use, sorted."""
        return pa.array(
            sorted(a for a, said in self.consent.get(use, {}).items() if said is yes), pa.string()
        )

    @cached_property
    def forgotten_posts(self) -> frozenset[str]:
        return frozenset(post for post, reason in self.posts.items() if reason == FORGOTTEN)

    @cached_property
    def forgotten_authors(self) -> frozenset[str]:
        return frozenset(author for author, reason in self.authors.items() if reason == FORGOTTEN)

    @property
    def permanent(self) -> "Restrictions":
        """What can never be taken back, and so is erased: what is forgotten or superseded, and
        every earlier text.
        """
        posts = {
            post: reason for post, reason in self.posts.items() if reason in (FORGOTTEN, SUPERSEDED)
        }
        return Restrictions(
            posts, dict.fromkeys(self.forgotten_authors, FORGOTTEN), {}, self.edited, self.watermark
        )

    @property
    def digest(self) -> str:
        """Names the content among a stage's inputs."""
        consent = {use: sorted(authors.items()) for use, authors in self.consent.items() if authors}
        lists = [
            sorted(self.posts.items()),
            sorted(self.authors.items()),
            sorted(self.edited.items()),
        ]
        return digest_value({"lists": lists, "consent": consent})

    def hides(self, post_id: str, author: str) -> bool:
        """Whether a post may be shown to nobody and used for nothing."""
        return post_id in self.posts or author in self.authors

    def forbids(self, use: Use, post_id: str, author: str, lake_version: int) -> bool:
        """Whether a use of a post, as it stood in a version of the lake, must end: hidden, refused,
        or edited since.
        """
        refused = self.consent.get(use, {}).get(author) is False
        return self.hides(post_id, author) or refused or self.edited.get(post_id, 0) > lake_version


class LiveLog:
    """The home's log. Cheap to open; safe to use from several processes, one object a thread."""

    def __init__(self, home: Home):
        self._connection = sqlite3.connect(home.live, timeout=30, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        self._connection.close()

    def append(self, kind: ForGood, subjects: Iterable[str], clock: Clock, reason: str) -> int:
        """Note that posts or authors are forgotten, each once. Returns how many are new."""
        return self.record((Event(kind, subject, note=reason) for subject in subjects), clock)

    def record(self, events: Iterable[Event], clock: Clock) -> int:
        """Note events in one durable transaction, each once however often it comes. Returns how
        many are new.
        """
        with self.transaction():
            return self.add(events, clock)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is durable together at the end, or not at all."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def add(self, events: Iterable[Event], clock: Clock) -> int:
        """The same inside a transaction that is open."""
        at = clock.now().isoformat()
        before = self._connection.total_changes
        self._connection.executemany(
            f"INSERT OR IGNORE INTO event ({_WRITTEN}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (_row(event, at) for event in events),
        )
        return self._connection.total_changes - before

    def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """For the tables that other modules keep in this file (`inbox.py`)."""
        return self._connection.execute(statement, values)

    def compact(self) -> None:
        """Write the file anew without its free pages, in which what was deleted still stands, and
        empty its log.
        """
        self._connection.execute("VACUUM")
        if self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise sqlite3.OperationalError("another process reads it")

    def execute_many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """The same for many rows, inside a transaction that is open."""
        self._connection.executemany(statement, rows)

    def watermark(self) -> int:
        """The highest sequence number so far; 0 for an empty log."""
        return self._connection.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0]

    def restrictions(self) -> Restrictions:
        """What holds now, of all posts and authors."""
        return _standing(
            self._connection.execute(f"SELECT {_COLUMNS} FROM event ORDER BY happened, seq")
        )

    def restrictions_among(self, posts: Sequence[tuple[str, str]]) -> Restrictions:
        """What holds now of some posts, given as (id, author); its watermark is no higher than
        their events'.
        """
        subjects = {name for post in posts for name in post}
        return _standing(sorted(self._of(subjects), key=lambda row: (row[4], row[7])))

    def subjects_since(self, watermark: int) -> tuple[list[str], int]:
        """The posts and authors of all events after a sequence number, each once, and the highest
        number so far.
        """
        rows = self._connection.execute(
            "SELECT subject, seq FROM event WHERE seq > ? ORDER BY seq", [watermark]
        ).fetchall()
        return list({subject: None for subject, _ in rows}), rows[-1][1] if rows else watermark

    def history(self, subjects: Iterable[str]) -> list[tuple[Event, datetime]]:
        """The events of some posts or authors, in the order of the log, each with the time at which
        it was noted.
        """
        rows = sorted(self._of(set(subjects)), key=lambda row: row[7])
        return [(_event(row), datetime.fromisoformat(row[5])) for row in rows]

    def of_kind(self, kind: Kind) -> list[tuple[Event, datetime]]:
        """All events of a kind, in the order of the log, each with the time at which it was
        noted.
        """
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM event WHERE kind = ? ORDER BY seq", [kind]
        )
        return [(_event(row), datetime.fromisoformat(row[5])) for row in rows]

    def _of(self, subjects: set[str]) -> list[tuple]:
        """The rows of some subjects; kinds are named so that the index on (kind, subject)
        answers.
        """
        found: list[tuple] = []
        names = sorted(subjects)
        for start in range(0, len(names), _PARAMETERS):
            part = names[start : start + _PARAMETERS]
            marks = ",".join("?" * len(part))
            for kind in KINDS:
                sql = f"SELECT {_COLUMNS} FROM event WHERE kind = ? AND subject IN ({marks})"
                found += self._connection.execute(sql, [kind, *part])
        return found


def timed(event: Event, now: datetime) -> Event:
    """A state or a word of consent whose source tells no time, as of now: it may come and go more
    than once.
    """
    is_lasting = event.kind in ("state_post", "state_author", "consent_author")
    return replace(event, happened=now) if is_lasting and event.happened is None else event


def _standing(rows: Iterable[tuple]) -> Restrictions:
    """Of states the latest by the source's clock holds, so that events may come in any order."""
    posts: dict[str, str] = {}
    authors: dict[str, str] = {}
    consent: dict[str, dict[str, str]] = {use: {} for use in USES}
    states: dict[tuple[str, str, str], str] = {}
    edited: dict[str, int] = {}
    watermark = 0
    for kind, subject, cause, value, *_, seq in rows:
        watermark = max(watermark, seq)
        match kind:
            case "forget_post":
                posts[subject] = FORGOTTEN
            case "forget_author":
                authors[subject] = FORGOTTEN
            case "replace_post":
                posts.setdefault(subject, SUPERSEDED)
            case "edit_post":
                edited[subject] = max(int(value), edited.get(subject, 0))
            case "consent_author":
                consent[cause][subject] = value
            case "state_post" | "state_author":
                states[kind, subject, cause] = value
    for (kind, subject, cause), value in sorted(states.items()):
        if value == "on":
            (posts if kind == "state_post" else authors).setdefault(subject, cause)
    said = {
        use: {a: v == "yes" for a, v in authors_.items() if v} for use, authors_ in consent.items()
    }
    return Restrictions(posts, authors, said, edited, watermark)


def _row(event: Event, at: str) -> tuple[str, ...]:
    happened = "" if event.happened is None or event.kind in ONCE else _utc_text(event.happened)
    return (event.kind, event.subject, event.cause, event.value, happened, at, event.note)


def _event(row: tuple) -> Event:
    kind, subject, cause, value, happened, _, note, _ = row
    return Event(
        kind, subject, cause, value, datetime.fromisoformat(happened) if happened else None, note
    )


def _utc_text(moment: datetime) -> str:
    """A time as text that sorts as times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _parallel(reasons: Mapping[str, str]) -> tuple[pa.Array, pa.Array]:
    names = sorted(reasons)
    return pa.array(names, pa.string()), pa.array([reasons[name] for name in names], pa.string())


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
        raise StorageError(
            f"the live log cannot be used: {error}", where=home.live, hint=_MEND
        ) from None
