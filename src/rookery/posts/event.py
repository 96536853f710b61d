"""`Event`: something that happened to a post or an author after the post was written.

Some events are permanent: a post or an author is forgotten, a post is replaced by a later version.
Others are states that begin and end (suspended, protected, withheld, ...), or an author's consent
to a use, which the author may change. A source's module translates its network's own words into
these events.

Not here: how events are recorded (`live.py`, `log/event_table.py`) and which restrictions follow
from them (`restrictions.py`).
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, get_args

PermanentKind = Literal["forget_post", "forget_author"]
Kind = Literal[
    PermanentKind,
    "replace_post",  # value: the id of the later version
    "edit_post",  # value: the version of the lake that first holds the new text
    "state_post",  # cause: one of CAUSES; value: "on" or "off"
    "state_author",
    "consent_author",  # cause: a use; value: "yes", "no", or "" for consent that is undefined
    # of an author; value: up to this post id, "" for all. With the cause THE_POST: of that post
    "scrub_place",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
ONCE: tuple[Kind, ...] = ("forget_post", "forget_author", "replace_post")
"""Kinds of which a second event for one subject adds nothing."""

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

EventRow = tuple[Kind, str, str, str, str, str, str, int]
"""An event in the log: kind, subject, cause, value, happened, at, note, seq.

`at` is when the event was recorded, `seq` its number in the log. Times are ISO 8601, UTC.
"""


@dataclass(frozen=True, slots=True)
class Event:
    """A change to a post or an author.

    happened: the source's own time, None if the source reports none. note: the reason for people
    to read; of a withholding the countries, by two letters and with blanks between them.
    """

    kind: Kind
    subject: str
    cause: str = ""
    value: str = ""
    happened: datetime | None = None
    note: str = ""


def timed(event: Event, now: datetime) -> Event:
    """Return the event, with the time `now` if it is a state or consent without a time.

    Such an event may come and go more than once, and its time tells the occurrences apart.
    """
    is_lasting = event.kind in ("state_post", "state_author", "consent_author")
    return replace(event, happened=now) if is_lasting and event.happened is None else event


def to_columns(event: Event, at: str) -> tuple[str, ...]:
    """Return the columns of an event that is recorded at a moment, without its number."""
    happened = "" if event.happened is None or event.kind in ONCE else _utc_text(event.happened)
    return (event.kind, event.subject, event.cause, event.value, happened, at, event.note)


def from_columns(row: EventRow) -> tuple[Event, datetime]:
    """Return the event of a row, and the time at which it was recorded."""
    kind, subject, cause, value, happened, at, note, _ = row
    time = datetime.fromisoformat(happened) if happened else None
    return Event(kind, subject, cause, value, time, note), datetime.fromisoformat(at)


def _utc_text(moment: datetime) -> str:
    """Return a time as text that sorts as times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
