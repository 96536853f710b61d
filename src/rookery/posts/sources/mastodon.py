"""Mastodon: a person's export (archive, folder or `outbox.json` alone), and REST API statuses.

Visibility. An outbox holds followers-only posts and direct messages beside public ones, so each
post's audience is read from `to` and `cc`, of the activity and of the post in it, and the narrower
of the two applies; where neither has any the visibility is unknown. A status has its own
`visibility`. Direct messages are private and boosts belong to others: both are set aside by their
id alone.

Consent. An account's refusals are recorded on each of its posts: not `indexable` refuses search and
answers (FEP-5feb: an account without the field refuses, too), `discoverable: false` refuses ads,
`noindex` search, answers and training, and `#noindex`, `#nobot` or `#noai` in the biography every
use. The live log records the same for the author, so that it applies to their earlier posts too,
until `rookery posts consent` records something else: an account that states nothing lifts no
refusal. Whether a refusal of search means one of training is said in `rookery.toml`, and decided in
`restrictions.py`. An outbox does not describe the account; `actor.json` does, in the archive or
beside the outbox, and without it the account has said nothing. Posts of another actor than that one
are set aside. Ids and authors are the addresses that ActivityPub gives them.

A Delete (of a post or of the account), a Tombstone and an Undo go to the live log. A post that was
edited has the time of the edit.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from rookery.core.errors import DataError
from rookery.posts.event import Event
from rookery.posts.post import USES, VISIBILITIES, Post, Visibility
from rookery.posts.sources import archives, media
from rookery.posts.sources.files import File, Read, SetAside, as_count, clear_errors, in_batches
from rookery.posts.sources.json_values import (
    Value,
    boolean,
    mapping,
    mappings,
    parse_document,
    read_values,
    words,
)
from rookery.posts.sources.markup import to_plain_text
from rookery.posts.sources.refusals import Refusals, refusals
from rookery.posts.sources.values import language_code, parse_time

SOURCE = "mastodon"
READING = 2

_PUBLIC = {"https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"}
_VISIBILITY: Mapping[str, Visibility] = {
    "public": "public",
    "unlisted": "unlisted",
    "private": "followers",
    "direct": "direct",
    "limited": "direct",
}
_ACTORS = ("Person", "Service", "Application", "Group", "Organization")
_POSTS = ("Note", "Question", "Article", "Page")
_REFUSAL = re.compile(r"#(noindex|nobots?|noai|nosearch|noarchive)\b", re.IGNORECASE)
_SET_ASIDE_BY_ID = ("direct_message", "repost")
_DELETIONS = ("Delete", "Tombstone", "Undo")
_QUOTED = frozenset({"quote-inline"})
_OWN_STATUS = re.compile(r"(https?://[^/]+/(?:users|ap/users)/[^/]+)/statuses/[0-9]+")


def recognizes(first: object) -> bool:
    """Return whether a file's first value is an outbox, an activity or a status, or a list."""
    if isinstance(first, list):
        return bool(first) and recognizes(first[0])
    return isinstance(first, dict) and (
        _is_outbox(first) or _is_activity(first) or _is_status(first)
    )


def is_outbox(path: PurePosixPath) -> bool:
    """Return whether a file makes an archive an export: the outbox, at the top or in one folder."""
    return path.name == "outbox.json" and len(path.parts) <= 2


def wanted(path: PurePosixPath) -> bool:
    """Return whether a file of an export is read."""
    return is_outbox(path.with_name("outbox.json")) and path.name in ("outbox.json", "actor.json")


def read(path: File) -> Read:
    """Yield the posts of a file in batches of `POST_SCHEMA`, with rows set aside and events.

    path: an export (an archive or a folder), or one JSON file. Raises `DataError` if it is damaged.
    """
    if isinstance(path, Path) and archives.is_archive(path):
        yield from in_batches(_exported(path))
        return
    with clear_errors(path):
        yield from in_batches(_posts(path))


def outcome(status: Mapping[str, Any]) -> list[Post | Event] | str:
    """Return a status as a post, with the consent events of its account.

    A string is the reason why the status is not taken.
    """
    post = _from_status(dict(status))
    if isinstance(post, str):
        return post
    refused = _AccountRefusals()
    refused.note(post, mapping(status.get("account")))
    return [post, *refused.events()]


def consents(account: Mapping[str, Any]) -> Refusals:
    """Return the uses that an account refuses, as fields of its posts.

    account: an actor of ActivityPub, or an account of the API.
    """
    return refusals(_refused_uses(account))


def _refused_uses(account: Mapping[str, Any]) -> set[str]:
    refused: set[str] = set()
    if account.get("indexable") is not True:
        refused |= {"search", "answers"}
    if account.get("discoverable") is False:
        refused |= {"ads"}
    if account.get("noindex") is True:
        refused |= {"search", "answers", "training"}
    if _REFUSAL.search(to_plain_text(words(account.get("note") or account.get("summary"))).text):
        refused |= set(USES)
    return refused


def visibility_of(activity: Mapping[str, Any], post: Mapping[str, Any]) -> Visibility:
    """Return the narrower of the audiences of an activity and of the post in it."""
    audiences = [_audience(thing) for thing in (activity, post) if "to" in thing or "cc" in thing]
    return max(audiences, key=VISIBILITIES.index, default="unknown")


def deletion_events(activity: Mapping[str, Any]) -> list[Event] | str:
    """Return the events for a Delete, a Tombstone or an Undo of a post or an actor.

    A string is the reason why nothing follows from it. A deletion counts if its object is on the
    host of the actor. The deletion of an account may be undone, that of a post may not.
    """
    kind, thing, actor = activity.get("type"), activity.get("object"), _id(activity.get("actor"))
    happened = parse_time(words(activity.get("published")) or words(activity.get("deleted")))
    if kind == "Tombstone":
        is_actor = words(activity.get("formerType")) in _ACTORS
        return _deletion(_id(activity), is_actor, "on", happened)
    if kind == "Undo" and mapping(thing).get("type") == "Delete":
        undone = _id(mapping(thing).get("object"))
        return _deletion(undone, True, "off", happened) if undone == actor else "cannot_be_undone"
    if kind != "Delete":
        return "not_a_deletion"
    if urlsplit(_id(thing)).netloc != urlsplit(actor).netloc:
        return "not_the_owners"
    return _deletion(_id(thing), _id(thing) == actor, "on", happened)


def _deletion(
    address: str, is_actor: bool, value: str, happened: datetime | None
) -> list[Event] | str:
    if not address:
        return "no_id"
    if is_actor:
        return [Event("state_author", address, "deleted", value, happened)]
    return [Event("forget_post", address, happened=happened, note="deleted by its author")]


def _exported(place: Path) -> Iterator[Post | SetAside | Event]:
    found: dict[str, bytes] = {}
    with archives.members(place, wanted) as files:
        for file in files:
            if file.name in found:
                hint = "Give one export at a time"
                raise DataError(f"the archive holds {file.name} twice", where=place, hint=hint)
            found[file.name] = archives.content(file)
    if "outbox.json" not in found:
        what = "not a Mastodon export: there is no outbox.json in it"
        raise DataError(what, where=place, hint="Give the archive as Mastodon made it")
    document = parse_document(found["outbox.json"], f"{place}: outbox.json")
    outbox = Value("outbox.json", mapping(document))
    actor = _actor(found["actor.json"], f"{place}: actor.json") if "actor.json" in found else {}
    refused = _AccountRefusals()
    yield from refused.noting(_activities(outbox, actor), actor)
    yield from refused.events()


def _posts(path: File) -> Iterator[Post | SetAside | Event]:
    actor: Mapping[str, Any] | None = None
    refused = _AccountRefusals()
    for value in read_values(path):
        if isinstance(value, SetAside):
            yield value
        elif _is_status(value.value):
            found = _taken(value.where or "the status", _from_status(value.value), value.value)
            yield from refused.noting([found], mapping(value.value["account"]))
        else:
            actor = _actor_beside(path) if actor is None else actor
            yield from refused.noting(_activities(value, actor), actor)
    yield from refused.events()


class _AccountRefusals:
    """The uses that accounts refuse, each as of the account's latest post in the file.

    An account was read no earlier than its latest post.
    """

    def __init__(self) -> None:
        self._latest: dict[str, tuple[datetime, set[str]]] = {}

    def noting(
        self, found: Iterable[Post | SetAside | Event], account: Mapping[str, Any]
    ) -> Iterator[Post | SetAside | Event]:
        """Yield the items unchanged, and note the account's refusals for its posts' authors."""
        for item in found:
            yield item
            if isinstance(item, Post):
                self.note(item, account)

    def note(self, post: Post, account: Mapping[str, Any]) -> None:
        """Note the refusals of the account that wrote a post."""
        written = post.edited or post.created
        is_latest = post.author not in self._latest or self._latest[post.author][0] <= written
        if is_latest:
            self._latest[post.author] = written, _refused_uses(account)

    def events(self) -> Iterator[Event]:
        """Yield the refusals as events.

        That an account does not refuse a use must not lift a refusal stated elsewhere.
        """
        for author, (written, refused) in self._latest.items():
            for use in USES:
                if use in refused:
                    yield Event("consent_author", author, use, "no", written)


def _actor_beside(path: File) -> Mapping[str, Any]:
    """Return the `actor.json` beside an outbox in an unpacked export; empty if there is none."""
    beside = path.with_name("actor.json") if isinstance(path, Path) else None
    return _actor(beside.read_bytes(), beside) if beside and beside.is_file() else {}


def _actor(data: bytes, where: object) -> dict[str, Any]:
    """Return the account of an `actor.json`.

    Raises `DataError` if it names none, for then nobody knows whose the posts are.
    """
    actor = mapping(parse_document(data, where))
    if not words(actor.get("id")):
        raise DataError(
            "the file names no account", where=where, hint="Take the export's own actor.json"
        )
    return actor


def _activities(value: Value, actor: Mapping[str, Any]) -> Iterator[Post | SetAside | Event]:
    listed = items(value.value) if _is_outbox(value.value) else None
    for number, item in enumerate([value.value] if listed is None else listed, 1):
        where = value.at(f"activity {number}")
        if not isinstance(item, dict):
            yield _taken(where, "not_a_post", item)
        elif item.get("type") in _DELETIONS:
            is_owners = not actor or _id(item.get("actor")) in ("", words(actor.get("id")))
            events = deletion_events(item) if is_owners else "not_the_owners"
            yield from [SetAside(where, events, item)] if isinstance(events, str) else events
        else:
            yield _taken(where, _from_activity(item, actor), item)


def _taken(where: str, found: Post | str, item: Any) -> Post | SetAside:
    if isinstance(found, Post):
        return found
    names = _names(mapping(item))
    if found in _SET_ASIDE_BY_ID:
        item = {"id": _id(item) or _id(item.get("object"))}
    return SetAside(where, found, item, *names)


def _names(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return the id and the author of a status, an activity or a post, "" where it has none."""
    if _is_status(item):
        return _status_names(item)
    post = mapping(item.get("object")) if item.get("type") in ("Create", "Update") else item
    return words(post.get("id")), _id(item.get("actor")) or _id(post.get("attributedTo"))


def _status_names(status: Mapping[str, Any]) -> tuple[str, str]:
    account = mapping(status.get("account"))
    uri = words(status.get("uri")) or words(status.get("url")) or words(status.get("id"))
    own = _OWN_STATUS.fullmatch(uri)
    return uri, words(account.get("uri")) or (own[1] if own else "") or words(account.get("url"))


def _from_activity(activity: dict[str, Any], actor: Mapping[str, Any]) -> Post | str:
    """Return the post of an activity, or the reason why it is not taken."""
    match activity.get("type"):
        case "Announce":
            return "repost"
        case "Create" | "Update":
            post = mapping(activity.get("object"))
        case _:
            post = activity
    if post.get("type") not in _POSTS:
        return "not_a_post"
    by = {
        _id(thing.get(key))
        for thing, key in ((activity, "actor"), (post, "attributedTo"), (actor, "id"))
    } - {""}
    if len(by) > 1:
        return "not_the_owners"
    author, visibility = next(iter(by), ""), visibility_of(activity, post)
    return _from_note(post, author, visibility, consents(actor))


def _from_note(
    note: dict[str, Any], author: str, visibility: Visibility, refused: Refusals
) -> Post | str:
    """Return a post of ActivityPub; its `updated` shows that it is not the first version."""
    plain = to_plain_text(words(note.get("content")), _QUOTED)
    warning = to_plain_text(words(note.get("summary"))).text
    text = "\n\n".join(filter(None, (warning, words(note.get("name")).strip(), plain.text)))
    created = parse_time(words(note.get("published")))
    if reason := _reason_against(words(note.get("id")), author, text, visibility):
        return reason
    if created is None:
        return "bad_time"
    quotes = (_id(note.get(key)) for key in ("quote", "quoteUri", "quoteUrl", "_misskey_quote"))
    return Post(
        id=words(note["id"]),
        author=author,
        text=text,
        created=created,
        language=_language(note),
        reply_to=_id(note.get("inReplyTo")) or None,
        quote_of=next(filter(None, quotes), None),
        conversation=words(note.get("conversation")) or words(note.get("context")) or None,
        likes=as_count(mapping(note.get("likes")).get("totalItems")),
        reposts=as_count(mapping(note.get("shares")).get("totalItems")),
        replies=as_count(mapping(note.get("replies")).get("totalItems")),
        alt_text=_descriptions(note.get("attachment"), "name"),
        visibility=visibility,
        source=SOURCE,
        edited=_later(words(note.get("updated")), created),
        place=words(mapping(note.get("location")).get("name")) or None,
        sensitive=boolean(note.get("sensitive")),
        media=media.of_note(note),
        **refused,
    )


def _from_status(status: dict[str, Any]) -> Post | str:
    """Return a status of the REST API as a post, or the reason why it is not taken."""
    if status.get("reblog"):
        return "repost"
    account = mapping(status.get("account"))
    uri, author = _status_names(status)
    own = _OWN_STATUS.fullmatch(uri)
    plain = to_plain_text(words(status.get("content")), _QUOTED)
    text = "\n\n".join(filter(None, (words(status.get("spoiler_text")).strip(), plain.text)))
    created = parse_time(words(status.get("created_at")))
    visibility = _status_visibility(status)
    if reason := _reason_against(uri, author, text, visibility):
        return reason
    if created is None:
        return "bad_time"
    quote = mapping(status.get("quote"))
    quoted = mapping(quote.get("quoted_status")) or quote
    return Post(
        id=uri,
        author=author,
        text=text,
        created=created,
        language=language_code(words(status.get("language"))),
        reply_to=_answered(status, own[1] if own else ""),
        quote_of=words(quoted.get("uri")) or None,
        likes=as_count(status.get("favourites_count")),
        reposts=as_count(status.get("reblogs_count")),
        replies=as_count(status.get("replies_count")),
        alt_text=_descriptions(status.get("media_attachments"), "description"),
        visibility=visibility,
        source=SOURCE,
        edited=_later(words(status.get("edited_at")), created),
        sensitive=boolean(status.get("sensitive")),
        media=media.of_status(status),
        **consents(account),
    )


def _later(text: str, created: datetime) -> datetime | None:
    """Return the time of an edit; None if there is none, or it is no later than the post itself."""
    edited = parse_time(text)
    return edited if edited and edited > created else None


def _status_visibility(status: Mapping[str, Any]) -> Visibility:
    """Return a status's visibility; some servers keep a `local_only` post among their members."""
    visibility = _VISIBILITY.get(words(status.get("visibility")), "unknown")
    is_local = status.get("local_only") is True and visibility in ("public", "unlisted")
    return "followers" if is_local else visibility


def _answered(status: Mapping[str, Any], author_address: str) -> str | None:
    """Return the address of the status that is answered, or else its id on the server asked.

    The API gives only that id. The address follows from it where authors answer themselves, or a
    person on their own server (an `acct` without a host), whom the mentions name.
    """
    answered = words(status.get("in_reply_to_id"))
    to = words(status.get("in_reply_to_account_id"))
    if answered and author_address and to:
        if to == words(mapping(status.get("account")).get("id")):
            return f"{author_address}/statuses/{answered}"
        for person in mappings(status.get("mentions")):
            name = words(person.get("acct"))
            if words(person.get("id")) == to and name and "@" not in name:
                return f"{author_address.rsplit('/', 1)[0]}/{name}/statuses/{answered}"
    return answered or None


def _reason_against(post_id: str, author: str, text: str, visibility: Visibility) -> str | None:
    """Return why a post is not taken: it is a direct message, or lacks what every post has."""
    if visibility == "direct":
        return "direct_message"
    required = (("no_id", post_id), ("no_author", author), ("no_text", text))
    return next((reason for reason, value in required if not value), None)


def _audience(thing: Mapping[str, Any]) -> Visibility:
    to, cc = _addresses(thing.get("to")), _addresses(thing.get("cc"))
    if _PUBLIC & to:
        return "public"
    if _PUBLIC & cc:
        return "unlisted"
    return "followers" if any(address.endswith("/followers") for address in to | cc) else "direct"


def _addresses(value: Any) -> set[str]:
    return {_id(item) for item in (value if isinstance(value, list) else [value])} - {""}


def _id(value: Any) -> str:
    """Return the address that a value of ActivityPub refers to; empty if it refers to none.

    The value is an address, an object with an `id`, or a list that begins with either.
    """
    if isinstance(value, list):
        return _id(value[0]) if value and not isinstance(value[0], list) else ""
    return words(value.get("id")) if isinstance(value, dict) else words(value)


def _language(note: Mapping[str, Any]) -> str | None:
    """Return the language whose text is the post's own; the first one if none is."""
    by_language = mapping(note.get("contentMap"))
    same = (name for name, text in by_language.items() if text == note.get("content"))
    return language_code(next(same, next(iter(by_language), "")))


def _descriptions(media: Any, key: str) -> str | None:
    texts = (words(item.get(key)).strip() for item in mappings(media))
    return "\n".join(filter(None, texts)) or None


def _is_outbox(value: Mapping[str, Any]) -> bool:
    kind = words(value.get("type")).removesuffix("Page")
    is_collection = kind in ("OrderedCollection", "Collection") or "orderedItems" in value
    return is_collection and items(value) is not None


def items(value: Mapping[str, Any]) -> list[Any] | None:
    """Return the items of a collection; None if it does not hold them itself."""
    lists = (value.get(key) for key in ("orderedItems", "items"))
    return next((found for found in lists if isinstance(found, list)), None)


def _is_activity(value: Mapping[str, Any]) -> bool:
    kind = value.get("type")
    is_activity = kind in ("Create", "Update", "Announce", "Delete", "Undo") and "actor" in value
    return is_activity or (kind in _POSTS and "attributedTo" in value)


def _is_status(value: Mapping[str, Any]) -> bool:
    return (
        isinstance(value.get("account"), dict)
        and "content" in value
        and ("visibility" in value or "uri" in value)
    )
