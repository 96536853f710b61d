"""Jetstream and tap: the public events of an AT-proto network (Bluesky), one JSON object a line.

Only creations and updates of `app.bsky.feed.post` are posts. An id is the record's `at://` address, an
author the account's DID. All else is set aside by what it is: reposts, records of other collections,
deletions, and what happened to accounts.

Rights. Records are public by the protocol, so the visibility is public; what a person says against uses
is elsewhere in the stream, mostly later. So a file is gone through twice, and the first time gathers, of
the whole file: deletions and updates (of a post the newest version is taken, and none if it was deleted
since), the state in which it leaves each account (posts of one that is deleted, deactivated, suspended or
taken down are not taken), and the profiles and declarations that say no. What came first is told by the
revision, which rises within each account, so that repeated and reordered lines change nothing. The label
`!no-unauthenticated` (or `!hide`) of a post or of a profile is a no to every use, since none of them asks
who looks. A declaration of user intents (`org.user-intents.declaration`, bluesky-social/proposals 0008)
that refuses synthetic content is a no to training and answers, one that refuses bulk data sets a no to
training.

Clocks. `createdAt` is what the author's device said. It is believed if it lies after 2000 and not after
the moment when the network saw the record (`time_us`, or the revision's own time); if it does not, that
moment is taken. An old time is no error: people import what they wrote elsewhere.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from rookery.posts.files import SetAside, clear_errors, in_batches
from rookery.posts.json_values import Value, mapping, mappings, read_values, words
from rookery.posts.post import CONSENT_FIELD, USES, Post
from rookery.posts.tabular import language_code, parse_time

POST = "app.bsky.feed.post"
PROFILE = "app.bsky.actor.profile"
INTENTS = ("org.user-intents.declaration", "org.user-intents.demo.declaration")
REFUSING_LABELS = {"!no-unauthenticated", "!hide"}
REFUSED_BY_INTENT = {"syntheticContentGeneration": ("answers", "training"), "bulkDataset": ("training",)}

DELETED_LATER = "deleted_later"
ACCOUNT_DELETED = "account_deleted"

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_1970 = datetime(1970, 1, 1, tzinfo=UTC)
_TID_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Event:
    """What Jetstream and tap both tell: of a record (`action` create, update or delete), or of an account."""

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


@dataclass
class _Later:
    """What a whole file says: the last revisions that delete or update a post, states of accounts, who refuses what."""

    deleted: dict[str, str] = field(default_factory=dict)
    updated: dict[str, str] = field(default_factory=dict)
    inactive: dict[str, str] = field(default_factory=dict)
    by_profile: dict[str, tuple[str, ...]] = field(default_factory=dict)
    by_intent: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def refused(self, did: str) -> set[str]:
        """The uses to which an account says no."""
        return {*self.by_profile.get(did, ()), *self.by_intent.get(did, ())}


def is_mine(first: object) -> bool:
    """Whether a file's first value is an event of Jetstream or of tap (or a list that begins with one)."""
    if isinstance(first, list):
        return bool(first) and is_mine(first[0])
    return isinstance(first, dict) and event_of(first) is not None


def read(path: Path) -> Iterator[tuple[pa.RecordBatch, list[SetAside]]]:
    """The posts of a file in batches of `POST_SCHEMA`, with what was set aside; raises `DataError` on damage."""
    with clear_errors(path):
        later = _later(path)
        yield from in_batches(_found(value, later) for value in read_values(path))


def event_of(value: Mapping[str, Any]) -> Event | None:
    """A line as an event; None if it is none."""
    if "time_us" in value and words(value.get("did")):
        return _jetstream(value)
    inner = mapping(value.get(words(value.get("type"))))
    return _tap(inner, value["type"]) if "id" in value and words(inner.get("did")) else None


def _jetstream(value: Mapping[str, Any]) -> Event:
    seen = _since_1970(value["time_us"])
    commit, account = mapping(value.get("commit")), mapping(value.get("account"))
    if commit:
        return _event_of_record(words(value["did"]), commit, words(commit.get("operation")), seen)
    active = account.get("active") if account else None
    return Event(
        words(value["did"]), words(value.get("kind")), "", "", "", {}, seen, active, words(account.get("status"))
    )


def _tap(inner: Mapping[str, Any], kind: str) -> Event:
    if kind == "record":
        return _event_of_record(words(inner["did"]), inner, words(inner.get("action")), None)
    active = inner.get("isActive", inner.get("is_active"))
    return Event(words(inner["did"]), "account", "", "", "", {}, None, active, words(inner.get("status")))


def _event_of_record(did: str, commit: Mapping[str, Any], action: str, seen: datetime | None) -> Event:
    collection, rkey = words(commit.get("collection")), words(commit.get("rkey"))
    revision = words(commit.get("rev"))
    seen = seen or _time_of_tid(revision)
    return Event(did, action, collection, rkey, revision, mapping(commit.get("record")), seen)


def _later(path: Path) -> _Later:
    later = _Later()
    for value in read_values(path):
        if isinstance(value, Value) and (event := event_of(value.value)):
            _note(event, later)
    return later


def _note(event: Event, later: _Later) -> None:
    if event.is_active is False:
        later.inactive[event.did] = ACCOUNT_DELETED if event.status == "deleted" else "account_inactive"
    elif event.is_active is True:
        later.inactive.pop(event.did, None)
    elif event.collection == POST and event.action in ("delete", "update"):
        last = later.deleted if event.action == "delete" else later.updated
        last[event.uri] = max(event.revision, last.get(event.uri, ""))
    elif event.collection == PROFILE:
        later.by_profile[event.did] = tuple(USES) if _labels(event.record) & REFUSING_LABELS else ()
    elif event.collection in INTENTS:
        later.by_intent[event.did] = _refused_by(event.record)


def _found(value: Value | SetAside, later: _Later) -> Post | SetAside:
    if isinstance(value, SetAside):
        return value
    event = event_of(value.value)
    found = _post(event, later) if event else "not_an_event"
    if isinstance(found, Post):
        return found
    row = {"id": event.uri} if found in (DELETED_LATER, ACCOUNT_DELETED) else value.value  # their words are gone, too
    return SetAside(value.where or "the event", found, row)


def _post(event: Event, later: _Later) -> Post | str:
    """An event's post, or the reason why there is none that may be taken."""
    if reason := _no_post(event, later):
        return reason
    record = event.record
    text = words(record.get("text"))
    created = _created(parse_time(words(record.get("createdAt"))), event.seen)
    missing = (("no_id", event.rkey), ("no_text", text.strip()), ("bad_time", created))
    if reason := next((reason for reason, there in missing if not there), None):
        return reason
    refused = later.refused(event.did) | (set(USES) if _labels(record) & REFUSING_LABELS else set())
    reply, embed = mapping(record.get("reply")), mapping(record.get("embed"))
    languages = record.get("langs")
    return Post(
        id=event.uri,
        author=event.did,
        text=text,
        created=created,
        language=language_code(words(languages[0])) if isinstance(languages, list) and languages else None,
        reply_to=words(mapping(reply.get("parent")).get("uri")) or None,
        quote_of=_quoted(embed),
        conversation=words(mapping(reply.get("root")).get("uri")) or event.uri,
        alt_text=_alt_text(embed),
        visibility="public",
        source="jetstream",
        **{CONSENT_FIELD[use]: False for use in refused},
    )


def _no_post(event: Event, later: _Later) -> str | None:
    """Why an event is no post, or one that did not stay."""
    if not event.collection:
        return "deletion_event" if event.status == "deleted" else f"{event.action or 'unknown'}_event"
    if event.action == "delete":
        return "deletion_event"
    if event.collection != POST:
        return "repost" if event.collection == "app.bsky.feed.repost" else "other_collection"
    if event.action not in ("create", "update"):
        return "unknown_event"
    if event.uri in later.deleted and event.revision <= later.deleted[event.uri]:
        return DELETED_LATER
    if event.revision < later.updated.get(event.uri, ""):
        return "edited_since"
    return later.inactive.get(event.did)


def _created(said: datetime | None, seen: datetime | None) -> datetime | None:
    """When a post was written: what its author's clock said, unless that cannot be."""
    if said and said >= EARLIEST and (seen is None or said <= seen):
        return said
    return seen


def _since_1970(microseconds: Any) -> datetime | None:
    try:
        return _1970 + timedelta(microseconds=int(words(microseconds)))
    except (ValueError, OverflowError):
        return None


def _time_of_tid(tid: str) -> datetime | None:
    """The time in a timestamp identifier: 53 bits of microseconds, 10 bits of clock, 13 digits of base 32."""
    if len(tid) != 13 or set(tid) - set(_TID_DIGITS):
        return None
    number = 0
    for digit in tid:
        number = number << 5 | _TID_DIGITS.index(digit)
    return _since_1970(number >> 10)


def _labels(record: Mapping[str, Any]) -> set[str]:
    """The labels that an author put on a record themselves."""
    return {words(label.get("val")) for label in mappings(mapping(record.get("labels")).get("values"))}


def _refused_by(declaration: Mapping[str, Any]) -> tuple[str, ...]:
    said = {name for name in REFUSED_BY_INTENT if mapping(declaration.get(name)).get("allow") is False}
    return tuple(use for name in sorted(said) for use in REFUSED_BY_INTENT[name])


def _quoted(embed: Mapping[str, Any]) -> str | None:
    """The post that is embedded, with or without media beside it; a list or a feed is none."""
    record = mapping(embed.get("record"))
    uri = words(record.get("uri")) or words(mapping(record.get("record")).get("uri"))
    return uri if f"/{POST}/" in uri else None


def _alt_text(embed: Mapping[str, Any]) -> str | None:
    media = mapping(embed.get("media")) or embed
    parts = [media, *mappings(media.get("images")), *mappings(media.get("items"))]
    return "\n".join(filter(None, (words(part.get("alt")).strip() for part in parts))) or None
