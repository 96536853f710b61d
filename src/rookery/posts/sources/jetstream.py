"""Jetstream and tap: the public events of an AT-proto network (Bluesky), one JSON object a line.

Only creations and updates of `app.bsky.feed.post` are posts. What happened to posts and accounts
goes to the live log: a deletion forgets its post, an account that is deleted, deactivated,
suspended or taken down is in that state until it is active again, and profiles and declarations of
preferences speak for their author (`atproto.py` says how). All else is set aside by what it is:
reposts, records of other collections, changes of names.

`outcome` is what one event says alone. A file tells more, for what takes a post back comes later in
it: so it is gone through twice, and the first time gathers deletions, updates (of a post the newest
version is taken, and none if it was deleted since) and the accounts that it leaves deleted. What
came first is told by the revision, which rises within each account, so that repeated and reordered
lines change nothing. A post made anew under its old address after a deletion is taken where one
file shows both.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rookery.posts.event import Event
from rookery.posts.post import Post
from rookery.posts.sources import atproto
from rookery.posts.sources.atproto import POST
from rookery.posts.sources.files import Read, SetAside, clear_errors, in_batches
from rookery.posts.sources.json_values import Value, mapping, read_values, words

SOURCE = "jetstream"
DELETED_LATER = "deleted_later"
ACCOUNT_DELETED = "account_deleted"

STATES = {
    "": "deactivated",
    "deleted": "deleted",
    "deactivated": "deactivated",
    "suspended": "suspended",
    "takendown": "taken_down",
}
"""An inactive account's status (com.atproto.sync.getRepoStatus), as the live log names it; none
told is its owner's.
"""


@dataclass(frozen=True)
class StreamEvent:
    """What Jetstream and tap both tell: of a record (`action` create, update or delete), or of an
    account.

    `seen`: when the network saw it; `happened`: the revision's own time, if that is not later.
    """

    did: str
    action: str
    collection: str
    rkey: str
    revision: str
    record: Mapping[str, Any]
    seen: datetime | None
    is_active: bool | None = None
    status: str = ""

    @property
    def uri(self) -> str:
        return f"at://{self.did}/{self.collection}/{self.rkey}"

    @property
    def happened(self) -> datetime | None:
        return min(filter(None, (atproto.time_of_tid(self.revision), self.seen)), default=None)


@dataclass
class _FinalState:
    """What a whole file says: the last deletions and updates of posts, accounts left deleted, posts
    made anew.
    """

    deleted: dict[str, str] = field(default_factory=dict)
    updated: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    made_anew: set[str] = field(default_factory=set)


def recognizes(first: object) -> bool:
    """Whether a file's first value is an event of Jetstream or of tap (or a list that begins with
    one).
    """
    if isinstance(first, list):
        return bool(first) and recognizes(first[0])
    return isinstance(first, dict) and event_of(first) is not None


def read(path: Path) -> Read:
    """The posts of a file in batches of `POST_SCHEMA`, with what stood beside them; raises
    `DataError` on damage.
    """
    with clear_errors(path):
        yield from in_batches(_read(path))


def event_of(value: Mapping[str, Any]) -> StreamEvent | None:
    """A line as an event; None if it is none."""
    if "time_us" in value and words(value.get("did")):
        return _jetstream(value)
    inner = mapping(value.get(words(value.get("type"))))
    return _tap(inner, value["type"]) if "id" in value and words(inner.get("did")) else None


def outcome(event: StreamEvent) -> list[Post | Event] | str:
    """What an event says, taken alone: a post, or events of the live log; or the reason why it says
    nothing for us.
    """
    if not event.collection:
        return _of_account(event) or f"{event.action or 'unknown'}_event"
    if event.collection == POST:
        return _of_post(event)
    record = None if event.action == "delete" else event.record
    if found := atproto.author_events(event.did, event.collection, record, event.happened):
        return found
    return "repost" if event.collection == "app.bsky.feed.repost" else "other_collection"


def _of_account(event: StreamEvent) -> list[Event]:
    """The states that an account is in and, as it has one at a time, those that it is no longer
    in.
    """
    if event.is_active is None or (not event.is_active and event.status not in STATES):
        return []
    now = None if event.is_active else STATES[event.status]
    return [
        Event("state_author", event.did, cause, "on" if cause == now else "off", event.happened)
        for cause in dict.fromkeys(STATES.values())
    ]


def _of_post(event: StreamEvent) -> list[Post | Event] | str:
    match event.action:
        case "delete":
            return [
                Event(
                    "forget_post", event.uri, happened=event.happened, note="deleted by its author"
                )
            ]
        case "create" | "update":
            edited = event.happened if event.action == "update" else None
            found = atproto.post_of(event.did, event.rkey, event.record, event.seen, SOURCE, edited)
            return found if isinstance(found, str) else [found]
    return "unknown_event"


def _jetstream(value: Mapping[str, Any]) -> StreamEvent:
    did, seen = words(value["did"]), atproto.since_1970(value["time_us"])
    if commit := mapping(value.get("commit")):
        return _event_of_record(did, commit, words(commit.get("operation")), seen)
    account = mapping(value.get("account"))
    active = account.get("active")
    is_active = active if isinstance(active, bool) else None
    return StreamEvent(
        did, words(value.get("kind")), "", "", "", {}, seen, is_active, words(account.get("status"))
    )


def _tap(inner: Mapping[str, Any], kind: str) -> StreamEvent:
    if kind == "record":
        return _event_of_record(words(inner["did"]), inner, words(inner.get("action")), None)
    active = inner.get("isActive", inner.get("is_active"))
    is_active = active if isinstance(active, bool) else None
    return StreamEvent(
        words(inner["did"]), "account", "", "", "", {}, None, is_active, words(inner.get("status"))
    )


def _event_of_record(
    did: str, commit: Mapping[str, Any], action: str, seen: datetime | None
) -> StreamEvent:
    collection, rkey = words(commit.get("collection")) or "unnamed", words(commit.get("rkey"))
    revision = words(commit.get("rev"))
    seen = seen or atproto.time_of_tid(revision)
    return StreamEvent(did, action, collection, rkey, revision, mapping(commit.get("record")), seen)


def _read(path: Path) -> Iterator[Post | SetAside | Event]:
    later = _FinalState()
    for value in read_values(path):
        if isinstance(value, Value) and (event := event_of(value.value)):
            _note(event, later)
    for value in read_values(path):
        yield from _found(value, later)
    for uri in sorted(later.deleted.keys() - later.made_anew):
        yield Event("forget_post", uri, note="deleted by its author")


def _note(event: StreamEvent, later: _FinalState) -> None:
    if event.is_active is False and event.status == "deleted":
        later.gone.add(event.did)
    elif event.is_active is not None:
        later.gone.discard(event.did)
    elif event.collection == POST and event.action in ("delete", "update"):
        last = later.deleted if event.action == "delete" else later.updated
        last[event.uri] = max(event.revision, last.get(event.uri, ""))


def _found(value: Value | SetAside, later: _FinalState) -> Iterator[Post | SetAside | Event]:
    if isinstance(value, SetAside):
        yield value
        return
    where, event = value.where or "the event", event_of(value.value)
    if event is None:
        yield SetAside(where, "not_an_event", value.value)
    elif reason := _overtaken(event, later):
        yield SetAside(where, reason, {"id": event.uri})  # their words are gone, too
    elif isinstance(found := outcome(event), str):
        yield SetAside(where, found, value.value)
    elif event.collection != POST or event.action != "delete":  # deletions follow at the end
        later.made_anew.update({event.uri} & later.deleted.keys())
        yield from found


def _overtaken(event: StreamEvent, later: _FinalState) -> str | None:
    """Why a post did not stay as this event has it."""
    if event.collection != POST or event.action not in ("create", "update"):
        return None
    if event.uri in later.deleted and event.revision <= later.deleted[event.uri]:
        return DELETED_LATER
    if event.revision < later.updated.get(event.uri, ""):
        return "edited_since"
    return ACCOUNT_DELETED if event.did in later.gone else None
