"""AT-proto records: posts, consent and account states, wherever the records were found.

A repository export (`atproto_repo.py`) and a stream (`jetstream.py`) hold the same records; how
they are packed there is read in those modules. An id is a record's `at://` address, an author the
account's DID.

Rights. Records are public by the protocol. The label `!no-unauthenticated` (or `!hide`) on a post
refuses every use, since no use knows who looks; on a profile it is a state of the account,
`signed_in_only`. User intents (`org.user-intents.declaration`, bluesky-social/proposals 0008) and
AI preferences (`community.lexicon.preference.ai`) have three values: allow is a yes and deny a no
to the uses in `USES_OF`; where two of them concern one use, a no outweighs a yes; a missing one
states nothing. A preference for a single consumer, or for another collection than posts, does not
apply here. Threadgates and postgates limit who may answer and quote, and do not concern uses.

Clocks. `createdAt` comes from the clock of the author's device. It is accepted if it is later than
2000 and not later than the moment when the network saw the record; otherwise that moment is taken.
An old time is not an error: people import what they wrote elsewhere.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rookery.posts.event import Event
from rookery.posts.post import USES, Post, Use
from rookery.posts.sources.json_values import mapping, mappings, words
from rookery.posts.sources.media import Kind, media_of
from rookery.posts.sources.refusals import refusals
from rookery.posts.sources.values import language_code, parse_time

POST = "app.bsky.feed.post"
PROFILE = "app.bsky.actor.profile"
INTENTS = ("org.user-intents.declaration", "org.user-intents.demo.declaration")
PREFERENCES = "community.lexicon.preference.ai"
REFUSING_LABELS = {"!no-unauthenticated", "!hide"}
SENSITIVE_LABELS = {"porn", "sexual", "nudity", "graphic-media"}
"""What an author says of a post with these. Without them it may bear a moderator's label, of which
the record tells nothing.
"""

USES_OF: Mapping[str, tuple[Use, ...]] = {
    "syntheticContentGeneration": ("answers", "training"),
    "bulkDataset": ("training",),
    "training": ("training",),
    "inference": ("answers",),
    "syntheticContent": ("answers",),
    "embedding": ("search",),
}
"""The uses that an intent (the first two) or a preference (the rest) concerns."""

_INTENT_NAMES, _PREFERENCE_NAMES = tuple(USES_OF)[:2], tuple(USES_OF)[2:]

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
    """Return a record of the collection `POST` as a post, or the reason why it is not taken.

    seen: when the network saw it. edited: when this version was written, if it is not the first.
    """
    uri = f"at://{did}/{POST}/{rkey}"
    text = words(record.get("text"))
    created = _created(parse_time(words(record.get("createdAt"))), seen)
    required = (("no_id", rkey), ("no_text", text.strip()))
    if reason := next((reason for reason, value in required if not value), None):
        return reason
    if created is None:
        return "bad_time"
    reply, embed = mapping(record.get("reply")), mapping(record.get("embed"))
    return Post(
        id=uri,
        author=did,
        text=text,
        created=created,
        language=_language(record.get("langs")),
        reply_to=words(mapping(reply.get("parent")).get("uri")) or None,
        quote_of=_quoted(embed),
        conversation=words(mapping(reply.get("root")).get("uri")) or uri,
        alt_text=_alt_text(embed),
        visibility="public",
        source=source,
        edited=edited,
        sensitive=True if labels_of(record) & SENSITIVE_LABELS else None,
        media=_media(embed),
        **refusals(USES if labels_of(record) & REFUSING_LABELS else ()),
    )


def author_events(
    did: str, collection: str, record: Mapping[str, Any] | None, happened: datetime | None
) -> list[Event]:
    """Return the events for what a record states about its author; none for other collections.

    record: None if it was deleted.
    """
    if collection == PROFILE:
        is_closed = record is not None and bool(labels_of(record) & REFUSING_LABELS)
        return [
            Event("state_author", did, "signed_in_only", "on" if is_closed else "off", happened)
        ]
    if collection not in (*INTENTS, PREFERENCES):
        return []
    if record is None:
        consents = dict.fromkeys(_uses_in(collection), "")
    else:
        consents = _consents(collection, record)
    return [
        Event("consent_author", did, use, consents[use], happened)
        for use in USES
        if use in consents
    ]


def declared_at(record: Mapping[str, Any], seen: datetime | None) -> datetime | None:
    """Return when a preference was declared: its own time, or when it was seen if that is earlier.

    For records found in a repository, where an old declaration must not pass for a new one.
    """
    stances = [
        record,
        *map(mapping, record.values()),
        *map(mapping, mapping(record.get("preferences")).values()),
    ]
    updated = (parse_time(words(stance.get("updatedAt"))) for stance in stances)
    declared = max(filter(None, updated), default=None)
    return min(filter(None, (declared, seen)), default=None)


def time_of_tid(tid: str) -> datetime | None:
    """Return the time in a timestamp identifier; None if it is not one.

    It has 13 digits of base 32: 53 bits of microseconds and 10 bits of clock id
    (atproto.com/specs/tid).
    """
    if len(tid) != 13 or set(tid) - set(_TID_DIGITS):
        return None
    number = 0
    for digit in tid:
        number = number << 5 | _TID_DIGITS.index(digit)
    return since_1970(number >> 10)


def since_1970(microseconds: Any) -> datetime | None:
    """Return the time so many microseconds after 1970; None if that is not a time."""
    try:
        return _1970 + timedelta(microseconds=int(words(microseconds)))
    except (ValueError, OverflowError):
        return None


def labels_of(record: Mapping[str, Any]) -> set[str]:
    """Return the labels that the author put on a record."""
    return {
        words(label.get("val")) for label in mappings(mapping(record.get("labels")).get("values"))
    }


def _uses_in(collection: str) -> set[Use]:
    names = _PREFERENCE_NAMES if collection == PREFERENCES else _INTENT_NAMES
    return {use for name in names for use in USES_OF[name]}


def _language(languages: Any) -> str | None:
    is_given = isinstance(languages, list) and languages
    return language_code(words(languages[0])) if is_given else None


def _consents(collection: str, record: Mapping[str, Any]) -> dict[Use, str]:
    """Return the author's consent, `yes`, `no` or empty, to each use that a record concerns."""
    stated: Mapping[str, Any] = record
    if collection == PREFERENCES:
        scope = mapping(record.get("scope"))
        is_ours = words(scope.get("collection")) in ("", POST) and not scope.get("entity")
        stated = mapping(record.get("preferences")) if is_ours else {}
    consents: dict[Use, str] = {}
    for name, uses in USES_OF.items():
        stance = stated.get(name)
        if not isinstance(stance, dict):
            continue
        allow = stance.get("allow")
        word = "yes" if allow is True else "no" if allow is False else ""
        for use in uses:
            consents[use] = min((consents.get(use, word), word), key=("no", "yes", "").index)
    return consents


def _created(claimed: datetime | None, seen: datetime | None) -> datetime | None:
    """Return when a post was written: the author's time if possible, else when it was seen."""
    if claimed and claimed >= EARLIEST and (seen is None or claimed <= seen):
        return claimed
    return seen


def _quoted(embed: Mapping[str, Any]) -> str | None:
    """Return the address of the embedded post, if any; a list or a feed is not a post."""
    record = mapping(embed.get("record"))
    uri = words(record.get("uri")) or words(mapping(record.get("record")).get("uri"))
    return uri if f"/{POST}/" in uri else None


def _media(embed: Mapping[str, Any]) -> str | None:
    """Return the kinds of embedded media; the preview of a link is none."""
    media = mapping(embed.get("media")) or embed
    has_images = media.get("images") or media.get("items")
    told: dict[Kind, object] = {"image": has_images, "video": media.get("video")}
    return media_of(kind for kind, there in told.items() if there)


def _alt_text(embed: Mapping[str, Any]) -> str | None:
    media = mapping(embed.get("media")) or embed
    parts = [media, *mappings(media.get("images")), *mappings(media.get("items"))]
    return "\n".join(filter(None, (words(part.get("alt")).strip() for part in parts))) or None
