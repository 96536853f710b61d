"""Mastodon: a person's export (its `outbox.json`, loose or in the archive), and statuses as its
REST API gives them.

Rights come first. An outbox holds followers-only posts and direct messages beside public ones, so
each post's audience is read from `to` and `cc`, of the activity and of the post in it, and the
narrower of the two holds; where neither speaks the visibility is unknown. A status says its
`visibility` itself. Direct messages are nobody else's business and boosts somebody else's words:
both are set aside by their id alone.

What the author says of their account goes with each post, as far as it is a no: not `indexable`
means no search and no answers (FEP-5feb: silence of an account is a no, too), `discoverable: false`
no ads, `noindex` no search, answers and training, and `#noindex`, `#nobot` or `#noai` in the
biography no use at all. The live log notes the same of the author, so that it holds for their
earlier posts too, until `rookery posts consent` says otherwise: an account that says nothing lifts
no refusal. An outbox says nothing of the account; `actor.json` does, in the archive or beside the
outbox. Posts of another than that actor are set aside. Ids and authors are the addresses that
ActivityPub gives them.

A Delete (of a post or of the account), a Tombstone and an Undo go to the live log. A post that was
edited says when.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rookery.core.errors import DataError
from rookery.posts.event import Event
from rookery.posts.post import CONSENT_FIELD, USES, VISIBILITIES, Post, Visibility
from rookery.posts.sources import mastodon_export
from rookery.posts.sources.files import Read, SetAside, as_count, clear_errors, in_batches
from rookery.posts.sources.json_values import (
    Value,
    mapping,
    mappings,
    parse_document,
    read_values,
    words,
)
from rookery.posts.sources.markup import to_plain_text
from rookery.posts.sources.tabular import language_code, parse_time

SOURCE = "mastodon"

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
_NOT_THEIRS_TO_GIVE = ("direct_message", "repost")
_TAKING_BACK = ("Delete", "Tombstone", "Undo")
_QUOTED = frozenset({"quote-inline"})
_OWN_STATUS = re.compile(r"(https?://[^/]+/(?:users|ap/users)/[^/]+)/statuses/[0-9]+")


def recognizes(first: object) -> bool:
    """Whether a file's first value is an outbox, an activity, or a status (or a list that begins
    with one).
    """
    if isinstance(first, list):
        return bool(first) and recognizes(first[0])
    return isinstance(first, dict) and (
        _is_outbox(first) or _is_activity(first) or _is_status(first)
    )


def read(path: Path) -> Read:
    """The posts of a file in batches of `POST_SCHEMA`, with what stood beside them; raises
    `DataError` on damage.
    """
    with clear_errors(path):
        yield from in_batches(_exported(path) if mastodon_export.is_export(path) else _posts(path))


def outcome(status: Mapping[str, Any]) -> list[Post | Event] | str:
    """A status, with what its account says of uses; or the reason why it is none that may be
    taken.
    """
    post = _from_status(dict(status))
    if isinstance(post, str):
        return post
    said = _AccountConsents()
    return [*said.noting([post], mapping(status.get("account"))), *said.events()]


def consents(account: Mapping[str, Any]) -> dict[str, bool]:
    """The uses to which an account says no, as fields of its posts. `account`: an actor, or an
    account of the API.
    """
    refused: set[str] = set()
    if account.get("indexable") is not True:
        refused |= {"search", "answers"}
    if account.get("discoverable") is False:
        refused |= {"ads"}
    if account.get("noindex") is True:
        refused |= {"search", "answers", "training"}
    if _REFUSAL.search(to_plain_text(words(account.get("note") or account.get("summary"))).text):
        refused |= set(USES)
    return {CONSENT_FIELD[use]: False for use in USES if use in refused}


def visibility_of(activity: Mapping[str, Any], post: Mapping[str, Any]) -> Visibility:
    """The narrower of the audiences that an activity and the post in it name."""
    audiences = [_audience(thing) for thing in (activity, post) if "to" in thing or "cc" in thing]
    return max(audiences, key=VISIBILITIES.index, default="unknown")


def taken_back(activity: Mapping[str, Any]) -> list[Event] | str:
    """What a Delete, a Tombstone or an Undo says of a post or an actor, or the reason why it says
    nothing for us.

    A deletion counts where its object lies on the host of the actor. An account's may be undone, a
    post's not.
    """
    kind, thing, actor = activity.get("type"), activity.get("object"), _id(activity.get("actor"))
    happened = parse_time(words(activity.get("published")) or words(activity.get("deleted")))
    if kind == "Tombstone":
        is_actor = words(activity.get("formerType")) in _ACTORS
        return _gone(_id(activity), is_actor, "on", happened)
    if kind == "Undo" and mapping(thing).get("type") == "Delete":
        undone = _id(mapping(thing).get("object"))
        return _gone(undone, True, "off", happened) if undone == actor else "cannot_be_undone"
    if kind != "Delete":
        return "not_a_deletion"
    if urlsplit(_id(thing)).netloc != urlsplit(actor).netloc:
        return "not_the_owners"
    return _gone(_id(thing), _id(thing) == actor, "on", happened)


def _gone(address: str, is_actor: bool, value: str, happened: datetime | None) -> list[Event] | str:
    if not address:
        return "no_id"
    if is_actor:
        return [Event("state_author", address, "deleted", value, happened)]
    return [Event("forget_post", address, happened=happened, note="deleted by its author")]


def _exported(path: Path) -> Iterator[Post | SetAside | Event]:
    export = mastodon_export.read_export(path)
    outbox = parse_document(export.outbox, f"{path}: outbox.json")
    actor = _actor(export.actor, f"{path}: actor.json") if export.actor is not None else {}
    said = _AccountConsents()
    yield from said.noting(_activities(Value("outbox.json", mapping(outbox)), actor), actor)
    yield from said.events()


def _posts(path: Path) -> Iterator[Post | SetAside | Event]:
    actor: Mapping[str, Any] | None = None
    said = _AccountConsents()
    for value in read_values(path):
        if isinstance(value, SetAside):
            yield value
        elif _is_status(value.value):
            found = _taken(value.where or "the status", _from_status(value.value), value.value)
            yield from said.noting([found], mapping(value.value["account"]))
        else:
            actor = _actor_beside(path) if actor is None else actor
            yield from said.noting(_activities(value, actor), actor)
    yield from said.events()


class _AccountConsents:
    """What accounts say of uses, each as of its latest post in the file: the account was read no
    earlier than that.
    """

    def __init__(self):
        self._latest: dict[str, tuple[datetime, dict[str, bool]]] = {}

    def noting(self, found: Iterable[Post | SetAside | Event], account: Mapping[str, Any]):
        """The same again, the account's word noted for the authors of its posts; of an empty
        account none.
        """
        for item in found:
            yield item
            if account and isinstance(item, Post):
                written = item.edited or item.created
                if item.author not in self._latest or self._latest[item.author][0] <= written:
                    self._latest[item.author] = written, consents(account)

    def events(self) -> Iterator[Event]:
        """The noes alone: that an account does not say no is no word that could lift one said
        elsewhere.
        """
        for author, (written, refused) in self._latest.items():
            for use in USES:
                if CONSENT_FIELD[use] in refused:
                    yield Event("consent_author", author, use, "no", written)


def _actor_beside(path: Path) -> Mapping[str, Any]:
    """The `actor.json` that lies beside an outbox in an unpacked export."""
    beside = path.with_name("actor.json")
    return _actor(beside.read_bytes(), beside) if beside.is_file() else {}


def _actor(data: bytes, where: object) -> dict[str, Any]:
    """The account; raises `DataError` if there is none, for then nobody can say whose the posts
    are.
    """
    actor = mapping(parse_document(data, where))
    if not words(actor.get("id")):
        raise DataError(
            "the file names no account", where=where, hint="Take the export's own actor.json"
        )
    return actor


def _activities(value: Value, actor: Mapping[str, Any]) -> Iterator[Post | SetAside | Event]:
    activities = items(value.value) if _is_outbox(value.value) else [value.value]
    for number, item in enumerate(activities, 1):
        where = value.at(f"activity {number}")
        if isinstance(item, dict) and item.get("type") in _TAKING_BACK:
            is_owners = not actor or _id(item.get("actor")) in ("", words(actor.get("id")))
            found = taken_back(item) if is_owners else "not_the_owners"
            yield from [SetAside(where, found, item)] if isinstance(found, str) else found
        else:
            yield _taken(
                where, _from_activity(item, actor) if isinstance(item, dict) else "not_a_post", item
            )


def _taken(where: str, found: Post | str, item: Any) -> Post | SetAside:
    if isinstance(found, Post):
        return found
    return SetAside(
        where,
        found,
        {"id": _id(item) or _id(item.get("object"))} if found in _NOT_THEIRS_TO_GIVE else item,
    )


def _from_activity(activity: dict[str, Any], actor: Mapping[str, Any]) -> Post | str:
    """An activity's post, or the reason why it is none that may be taken."""
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
    return _from_note(
        post, next(iter(by), ""), visibility_of(activity, post), consents(actor) if actor else {}
    )


def _from_note(
    note: dict[str, Any], author: str, visibility: Visibility, consent: dict[str, bool]
) -> Post | str:
    """A post of ActivityPub; its `updated` says that it is not the first version."""
    plain = to_plain_text(words(note.get("content")), _QUOTED)
    warning = to_plain_text(words(note.get("summary"))).text
    text = "\n\n".join(filter(None, (warning, words(note.get("name")).strip(), plain.text)))
    created = parse_time(words(note.get("published")))
    if reason := _reason_against(words(note.get("id")), author, text, created, visibility):
        return reason
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
        **consent,
    )


def _from_status(status: dict[str, Any]) -> Post | str:
    """A status of the REST API as a post, or the reason why it is none that may be taken."""
    if status.get("reblog"):
        return "repost"
    account = mapping(status.get("account"))
    uri = words(status.get("uri")) or words(status.get("url")) or words(status.get("id"))
    own = _OWN_STATUS.fullmatch(uri)
    author = words(account.get("uri")) or (own[1] if own else "") or words(account.get("url"))
    plain = to_plain_text(words(status.get("content")), _QUOTED)
    text = "\n\n".join(filter(None, (words(status.get("spoiler_text")).strip(), plain.text)))
    created = parse_time(words(status.get("created_at")))
    visibility = _status_visibility(status)
    if reason := _reason_against(uri, author, text, created, visibility):
        return reason
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
        **consents(account),
    )


def _later(text: str, created: datetime) -> datetime | None:
    """The time of an edit; None where none is told, or one that is no later than the post
    itself.
    """
    edited = parse_time(text)
    return edited if edited and edited > created else None


def _status_visibility(status: Mapping[str, Any]) -> Visibility:
    visibility = _VISIBILITY.get(words(status.get("visibility")), "unknown")
    is_local = status.get("local_only") is True and visibility in ("public", "unlisted")
    return (
        "followers" if is_local else visibility
    )  # some servers keep a post among their own members


def _answered(status: Mapping[str, Any], author_address: str) -> str | None:
    """The address of the status that is answered; if it cannot be told, its id on the server that
    was asked.

    The API names it by that id alone. An address follows from it where the author answers
    themselves, or a person of their own server (an `acct` without a host), whom the mentions name.
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


def _reason_against(
    post_id: str, author: str, text: str, created: object, visibility: Visibility
) -> str | None:
    """Why a post may not be taken: it is a message to persons, or lacks what every post has."""
    if visibility == "direct":
        return "direct_message"
    missing = (("no_id", post_id), ("no_author", author), ("no_text", text), ("bad_time", created))
    return next((reason for reason, value in missing if not value), None)


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
    """What ActivityPub refers to: an address, an object with one, or a list that begins with
    either.
    """
    if isinstance(value, list):
        return _id(value[0]) if value and not isinstance(value[0], list) else ""
    return words(value.get("id")) if isinstance(value, dict) else words(value)


def _language(note: Mapping[str, Any]) -> str | None:
    """The language whose text the post's is; the first one if none is."""
    by_language = mapping(note.get("contentMap"))
    same = (name for name, text in by_language.items() if text == note.get("content"))
    return language_code(next(same, next(iter(by_language), "")))


def _descriptions(media: Any, key: str) -> str | None:
    return (
        "\n".join(filter(None, (words(item.get(key)).strip() for item in mappings(media)))) or None
    )


def _is_outbox(value: Mapping[str, Any]) -> bool:
    kind = words(value.get("type")).removesuffix("Page")
    return items(value) is not None and (
        kind in ("OrderedCollection", "Collection") or "orderedItems" in value
    )


def items(value: Mapping[str, Any]) -> list[Any] | None:
    """What a collection holds, if it holds it itself."""
    return next(
        (value[key] for key in ("orderedItems", "items") if isinstance(value.get(key), list)), None
    )


def _is_activity(value: Mapping[str, Any]) -> bool:
    is_activity = (
        value.get("type") in ("Create", "Update", "Announce", "Delete", "Undo") and "actor" in value
    )
    return is_activity or (value.get("type") in _POSTS and "attributedTo" in value)


def _is_status(value: Mapping[str, Any]) -> bool:
    return (
        isinstance(value.get("account"), dict)
        and "content" in value
        and ("visibility" in value or "uri" in value)
    )
