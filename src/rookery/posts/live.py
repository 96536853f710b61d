"""The live log: what happened to posts and their authors, in one growing sequence of events.

An event does not rewrite the files in which a post lies. It is recorded here, durably, before the
call that records it returns, and every reader asks the log before it shows or uses a post. So a
restriction holds from that moment on, in every process.

Events are only appended (`event.py` lists their kinds; `log/event_table.py` stores them in SQLite).
The state at one moment is a fold over them: `Restrictions`. What a restriction means for one post
and one use is decided in `rights.py`.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime

from rookery.core.context import Clock
from rookery.core.errors import StorageError
from rookery.core.home import Home
from rookery.posts.event import KINDS, Event, Kind, PermanentKind, from_columns
from rookery.posts.log.event_table import EventTable
from rookery.posts.restrictions import Restrictions, restrictions_from

_FORGET: tuple[Kind, ...] = ("forget_post", "forget_author")
_HINT = (
    "Free some space, or wait until the process that holds it is done, and run the command again"
)


class LiveLog(EventTable):
    """The home's log: cheap to open, safe for several processes, one object for each thread."""

    def __init__(self, home: Home, any_thread: bool = False):
        """Open the log. any_thread: one thread after the other may use it."""
        super().__init__(home.live, any_thread)
        self._not_indexable = home.settings.rights.not_indexable

    # Writing: an event is recorded once, however often it is reported.

    def append(
        self, kind: PermanentKind, subjects: Iterable[str], clock: Clock, reason: str
    ) -> int:
        """Record that posts or authors are forgotten, and return how many are new."""
        return self.record((Event(kind, subject, note=reason) for subject in subjects), clock)

    def record(self, events: Iterable[Event], clock: Clock) -> int:
        """Record events in one durable transaction, and return how many are new."""
        with self.transaction():
            return self.add(events, clock)

    def add(self, events: Iterable[Event], clock: Clock) -> int:
        """Record events inside a transaction that is open, and return how many are new."""
        return self.insert(events, clock.now().isoformat())

    # Reading the state: two orders matter. `seq`, the order of recording, shows a reader what it
    # has not seen yet. `happened`, the source's clock, decides which of two states holds, because
    # networks deliver events late and out of order.

    def watermark(self) -> int:
        """Return the highest sequence number so far; 0 for an empty log."""
        return self.last_number()

    def restrictions(self) -> Restrictions:
        """Return what holds now for all posts and authors."""
        with self.snapshot():
            rows = list(self.rows_by_time([kind for kind in KINDS if kind not in _FORGET]))
            posts, authors = map(self.subjects_of_kind, _FORGET)
            watermark = self.watermark()
        found = restrictions_from(rows, posts, authors, self._not_indexable)
        return replace(found, watermark=watermark)

    def permanent_since(self, watermark: int) -> Restrictions:
        """Return what the events after a watermark restrict for good (`Restrictions.permanent`)."""
        if watermark:
            return restrictions_from(self.rows_after(watermark)).permanent
        posts, authors = map(self.subjects_of_kind, _FORGET)
        return restrictions_from(self.rows_by_time(("replace_post", "edit_post")), posts, authors)

    def restrictions_among(self, posts: Sequence[tuple[str, str]]) -> Restrictions:
        """Return what holds now for some posts, given as (id, author).

        Its watermark is that of their own events, and so may be lower than the log's.
        """
        rows = self.rows_of_subjects({name for post in posts for name in post})
        # column 4 is `happened`; the sort is stable, so that `seq` decides between equal times
        return restrictions_from(sorted(rows, key=lambda row: row[4]), (), (), self._not_indexable)

    def subjects_since(self, watermark: int) -> tuple[list[str], int]:
        """Return the posts and authors of all events after a watermark, and the new watermark.

        Each is named once. A reader that holds `restrictions()` stays current by asking for
        `restrictions_among` these.
        """
        rows = [(row[1], row[-1]) for row in self.rows_after(watermark)]
        return list({subject: None for subject, _ in rows}), rows[-1][1] if rows else watermark

    def edited_since(self, watermark: int, posts: Collection[str]) -> frozenset[str]:
        """Return those of some posts of which an edit was recorded after a watermark."""
        rows = self.rows_of_subjects(set(posts)) if posts else []
        return frozenset(row[1] for row in rows if row[0] == "edit_post" and row[-1] > watermark)

    # Reading events: the order is that of the log, each with the time at which it was recorded.

    def history(self, subjects: Iterable[str]) -> list[tuple[Event, datetime]]:
        """Return the events of some posts or authors."""
        return [from_columns(row) for row in self.rows_of_subjects(set(subjects))]

    def of_kind(self, kind: Kind, since: int = 0) -> list[tuple[Event, datetime]]:
        """Return all events of a kind, or those after a watermark."""
        return [from_columns(row) for row in self.rows_of_kind(kind) if row[-1] > since]


@contextmanager
def live_log(home: Home) -> Iterator[LiveLog]:
    """Open the home's log for a while.

    Raises `StorageError` if the log cannot be read or written.
    """
    try:
        with closing(LiveLog(home)) as log:
            yield log  # what fails while it is open (a full disk, say) is caught below too
    except sqlite3.DatabaseError as error:
        raise StorageError(
            f"the live log cannot be used: {error}", where=home.live, hint=_HINT
        ) from None
