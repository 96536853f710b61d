"""AT-proto records: what a post, a profile and a declaration of preferences say, wherever they were
found.

A repository export (`atproto_repo.py`) and a stream (`jetstream.py`) hold the same records; how
they hold them is for those modules. An id is a record's `at://` address, an author the account's
DID.

Rights. Records are public by the protocol. The label `!no-unauthenticated` (or `!hide`) of a post
is a no to every use, since none of them asks who looks; of a profile it is a state of the account,
`signed_in_only`. User intents (`org.user-intents.declaration`, bluesky-social/proposals 0008) and
AI preferences (`community.lexicon.preference.ai`) are tri-state: allow is a yes and deny a no to
the uses in `USES_OF`, a no before a yes where two of them speak of one use, and what is left out
says nothing. A preference for a single consumer, or for another collection than posts, is not ours
to read. Threadgates and postgates say who may answer and quote, and nothing of uses.

Clocks. `createdAt` is what the author's device said. It is believed if it lies after 2000 and not
after the moment when the network saw the record; if it does not, that moment is taken. An old time
is no
error: people import what they wrote elsewhere.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rookery.posts.event import Event
from rookery.posts.post import CONSENT_FIELD, USES, Post, Use
from rookery.posts.sources.json_values import mapping, mappings, words
from rookery.posts.sources.tabular import language_code, parse_time

POST = "app.bsky.feed.post"
PROFILE = "app.bsky.actor.profile"
INTENTS = ("org.user-intents.declaration", "org.user-intents.demo.declaration")
PREFERENCES = "community.lexicon.preference.ai"
REFUSING_LABELS = {"!no-unauthenticated", "!hide"}

USES_OF: Mapping[str, tuple[Use, ...]] = {
    "syntheticContentGeneration": ("answers", "training"),
    "bulkDataset": ("training",),
    "training": ("training",),
    "inference": ("answers",),
    "syntheticContent": ("answers",),
    "embedding": ("search",),
}
"""The uses that an intent (the first two) or a preference speaks of."""

_NAMES = tuple(USES_OF)[:2], tuple(USES_OF)[2:]

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_1970 = datetime(1970, 1, 1, tzinfo=UTC)
_TID_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"


def post_of(
    did: str,
    rkey: str,
    record: Mapping[str, Any],
    seen: datetime | None,
    source: str,
    edited: datetime | None = None,
) -> Post | str:
    """A record of the collection `POST` as a post, or the reason why it is none that may be
    taken.
    """
    uri = f"at://{did}/{POST}/{rkey}"
    text = words(record.get("text"))
    created = _created(parse_time(words(record.get("createdAt"))), seen)
    missing = (("no_id", rkey), ("no_text", text.strip()), ("bad_time", created))
    if reason := next((reason for reason, there in missing if not there), None):
        return reason
    reply, embed, languages = (
        mapping(record.get("reply")),
        mapping(record.get("embed")),
        record.get("langs"),
    )
    return Post(
        id=uri,
        author=did,
        text=text,
        created=created,
        language=language_code(words(languages[0]))
        if isinstance(languages, list) and languages
        else None,
        reply_to=words(mapping(reply.get("parent")).get("uri")) or None,
        quote_of=_quoted(embed),
        conversation=words(mapping(reply.get("root")).get("uri")) or uri,
        alt_text=_alt_text(embed),
        visibility="public",
        source=source,
        edited=edited,
        **(
            dict.fromkeys(CONSENT_FIELD.values(), False)
            if labels_of(record) & REFUSING_LABELS
            else {}
        ),
    )


def author_events(
    did: str, collection: str, record: Mapping[str, Any] | None, happened: datetime | None
) -> list[Event]:
    """What a record says of its author as a whole; none for other collections. `record`: None if it
    was deleted.
    """
    if collection == PROFILE:
        is_closed = record is not None and bool(labels_of(record) & REFUSING_LABELS)
        return [
            Event("state_author", did, "signed_in_only", "on" if is_closed else "off", happened)
        ]
    if collection not in (*INTENTS, PREFERENCES):
        return []
    said = dict.fromkeys(_uses_in(collection), "") if record is None else _said(collection, record)
    return [Event("consent_author", did, use, said[use], happened) for use in USES if use in said]


def said_at(record: Mapping[str, Any], seen: datetime | None) -> datetime | None:
    """When a preference was declared, by its own word, if that is not after it was seen; else when
    it was seen.

    For records found in a repository: an old word must not pass for a new one.
    """
    stances = [
        record,
        *map(mapping, record.values()),
        *map(mapping, mapping(record.get("preferences")).values()),
    ]
    told = max(
        filter(None, (parse_time(words(stance.get("updatedAt"))) for stance in stances)),
        default=None,
    )
    return min(filter(None, (told, seen)), default=None)


def time_of_tid(tid: str) -> datetime | None:
    """The time in a timestamp identifier: 53 bits of microseconds, 10 bits of clock, 13 digits of
    base 32.
    """
    if len(tid) != 13 or set(tid) - set(_TID_DIGITS):
        return None
    number = 0
    for digit in tid:
        number = number << 5 | _TID_DIGITS.index(digit)
    return since_1970(number >> 10)


def since_1970(microseconds: Any) -> datetime | None:
    try:
        return _1970 + timedelta(microseconds=int(words(microseconds)))
    except (ValueError, OverflowError):
        return None


def labels_of(record: Mapping[str, Any]) -> set[str]:
    """The labels that an author put on a record themselves."""
    return {
        words(label.get("val")) for label in mappings(mapping(record.get("labels")).get("values"))
    }


def _uses_in(collection: str) -> set[Use]:
    names = _NAMES[1] if collection == PREFERENCES else _NAMES[0]
    return {use for name in names for use in USES_OF[name]}


def _said(collection: str, record: Mapping[str, Any]) -> dict[Use, str]:
    """The author's word on each use that a record speaks of."""
    stated: Mapping[str, Any] = record
    if collection == PREFERENCES:
        scope = mapping(record.get("scope"))
        is_ours = words(scope.get("collection")) in ("", POST) and not scope.get("entity")
        stated = mapping(record.get("preferences")) if is_ours else {}
    said: dict[Use, str] = {}
    for name, uses in USES_OF.items():
        stance = stated.get(name)
        if not isinstance(stance, dict):
            continue
        allow = stance.get("allow")
        word = "yes" if allow is True else "no" if allow is False else ""
        for use in uses:
            said[use] = min((said.get(use, word), word), key=("no", "yes", "").index)
    return said


def _created(said: datetime | None, seen: datetime | None) -> datetime | None:
    """When a post was written: what its author's clock said, unless that cannot be."""
    if said and said >= EARLIEST and (seen is None or said <= seen):
        return said
    return seen


def _quoted(embed: Mapping[str, Any]) -> str | None:
    """The post that is embedded, with or without media beside it; a list or a feed is none."""
    record = mapping(embed.get("record"))
    uri = words(record.get("uri")) or words(mapping(record.get("record")).get("uri"))
    return uri if f"/{POST}/" in uri else None


def _alt_text(embed: Mapping[str, Any]) -> str | None:
    media = mapping(embed.get("media")) or embed
    parts = [media, *mappings(media.get("images")), *mappings(media.get("items"))]
    return "\n".join(filter(None, (words(part.get("alt")).strip() for part in parts))) or None
