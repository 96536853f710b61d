"""Jetstream and tap: the public events of an AT-proto network (Bluesky), one JSON object a line.

Only creations and updates of `app.bsky.feed.post` are posts. Events about posts and accounts go to
the live log: a deletion forgets its post; an account that is deleted, deactivated, suspended or
taken down is in that state until it is active again; profiles and declarations of preferences give
their author's consent (read in `atproto.py`). Everything else is set aside under its kind: reposts,
records of other collections, changes of names.

`outcome` gives the meaning of one event by itself. A file shows more, for a deletion comes later in
it than its post. So it is read twice, and the first pass gathers deletions, updates (of a post the
newest version is taken, and none if it was deleted since) and the accounts that are deleted at its
end. Events are ordered by the revision, which rises within each account, so that repeated and
reordered lines change nothing. A post created again under its old address after a deletion is taken
only where one file holds both events.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rookery.posts.event import Event
from rookery.posts.post import Post
from rookery.posts.sources import atproto
from rookery.posts.sources.atproto import POST
from rookery.posts.sources.files import File, Read, SetAside, clear_errors, in_batches
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
"""The state in the live log for an inactive account's status (com.atproto.sync.getRepoStatus).

Without a status, the owner deactivated the account.
"""


@dataclass(frozen=True)
class StreamEvent:
    """An event as Jetstream and tap both send it, about a record or about an account.

    action: of a record `create`, `update` or `delete`. seen: when the network saw it.
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
        """Return the `at://` address of the record."""
        return f"at://{self.did}/{self.collection}/{self.rkey}"

    @property
    def happened(self) -> datetime | None:
        """Return the revision's own time, or when it was seen if that is earlier."""
        return min(filter(None, (atproto.time_of_tid(self.revision), self.seen)), default=None)


@dataclass
class _FinalState:
    """The state at the end of a file, gathered in the first pass.

    deleted, updated: the last revision that did so to a post, by its address. deleted_accounts:
    DIDs. created_again: addresses of deleted posts that came back, gathered in the second pass.
    """

    deleted: dict[str, str] = field(default_factory=dict)
    updated: dict[str, str] = field(default_factory=dict)
    deleted_accounts: set[str] = field(default_factory=set)
    created_again: set[str] = field(default_factory=set)


def recognizes(first: object) -> bool:
    """Return whether a file's first value is an event of Jetstream or tap, or a list of them."""
    if isinstance(first, list):
        return bool(first) and recognizes(first[0])
    return isinstance(first, dict) and event_of(first) is not None


def read(path: File) -> Read:
    """Yield the posts of a file in batches of `POST_SCHEMA`, with rows set aside and events.

    Raises `DataError` if the file is damaged.
    """
    with clear_errors(path):
        yield from in_batches(_read(path))


def event_of(value: Mapping[str, Any]) -> StreamEvent | None:
    """Return the event that a line holds; None if it holds none."""
    if "time_us" in value and words(value.get("did")):
        return _jetstream(value)
    inner = mapping(value.get(words(value.get("type"))))
    return _tap(inner, value["type"]) if "id" in value and words(inner.get("did")) else None


def outcome(event: StreamEvent) -> list[Post | Event] | str:
    """Return the post or the events of the live log that follow from one event by itself.

    A string is the reason why nothing follows from it.
    """
    if not event.collection:
        return [*_account_events(event)] or f"{event.action or 'unknown'}_event"
    if event.collection == POST:
        return _post_outcome(event)
    record = None if event.action == "delete" else event.record
    if found := atproto.author_events(event.did, event.collection, record, event.happened):
        return [*found]
    return "repost" if event.collection == "app.bsky.feed.repost" else "other_collection"


def _account_events(event: StreamEvent) -> list[Event]:
    """Return events that begin the account's state and end all others: it has one at a time."""
    if event.is_active is None or (not event.is_active and event.status not in STATES):
        return []
    current = None if event.is_active else STATES[event.status]
    return [
        Event("state_author", event.did, cause, "on" if cause == current else "off", event.happened)
        for cause in dict.fromkeys(STATES.values())
    ]


def _post_outcome(event: StreamEvent) -> list[Post | Event] | str:
    match event.action:
        case "delete":
            note = "deleted by its author"
            return [Event("forget_post", event.uri, happened=event.happened, note=note)]
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


def _read(path: File) -> Iterator[Post | SetAside | Event]:
    final = _FinalState()
    for value in read_values(path):
        if isinstance(value, Value) and (event := event_of(value.value)):
            _note(event, final)
    for value in read_values(path):
        yield from _items(value, final)
    for uri in sorted(final.deleted.keys() - final.created_again):
        yield Event("forget_post", uri, note="deleted by its author")


def _note(event: StreamEvent, final: _FinalState) -> None:
    if event.is_active is False and event.status == "deleted":
        final.deleted_accounts.add(event.did)
    elif event.is_active is not None:
        final.deleted_accounts.discard(event.did)
    elif event.collection == POST and event.action in ("delete", "update"):
        last = final.deleted if event.action == "delete" else final.updated
        last[event.uri] = max(event.revision, last.get(event.uri, ""))


def _items(value: Value | SetAside, final: _FinalState) -> Iterator[Post | SetAside | Event]:
    if isinstance(value, SetAside):
        yield value
        return
    where, event = value.where or "the event", event_of(value.value)
    if event is None:
        yield SetAside(where, "not_an_event", value.value)
    elif reason := _superseded(event, final):
        yield SetAside(where, reason, {"id": event.uri}, event.uri, event.did)
    elif isinstance(found := outcome(event), str):
        uri = event.uri if event.collection else ""
        yield SetAside(where, found, value.value, uri, event.did)
    elif event.collection != POST or event.action != "delete":  # deletions follow at the end
        final.created_again.update({event.uri} & final.deleted.keys())
        yield from found


def _superseded(event: StreamEvent, final: _FinalState) -> str | None:
    """Return why a post is no longer as this event has it; None if it is."""
    if event.collection != POST or event.action not in ("create", "update"):
        return None
    if event.uri in final.deleted and event.revision <= final.deleted[event.uri]:
        return DELETED_LATER
    if event.revision < final.updated.get(event.uri, ""):
        return "edited_since"
    return ACCOUNT_DELETED if event.did in final.deleted_accounts else None
