"""X API v2: JSON lines as twarc and other collectors write them, each a page, a streamed tweet or a
flattened one.

A page is `{"data": [tweets], "includes": {users, media, tweets}}`, a stream's line has one tweet as
its `data`; flattened, a tweet stands alone with its `author` and the tweets that it refers to
inside it. The tweets referred to are taken as posts too: a retweet is set aside, and what it
repeats is kept.

Rights. The API shows a collector also the protected accounts that he follows, so a tweet is public
only where the file holds its author and says `"protected": false`; protected means `followers` and
is noted as the author's state, which holds for their earlier posts too; an author whom the file
does not describe means `unknown`. What is withheld in any country is taken and noted as withheld,
which hides it everywhere while that lasts (there is no serving by country here): until a compliance
event or `rookery posts state` ends it. States are as of the time when the page was retrieved, where
it tells that.

Edits. Each version has an id of its own, which is what replies, quotes and deletions name, so it
keeps it. As soon as any edit history in the file names a newer one, whether or not the newer one is
there, a version is set aside and noted as replaced: its author has replaced those words. Events of
compliance go to the live log; users, lists and counts are no posts, and are set aside by those
names.
"""

import html
import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from rookery.posts.event import Event
from rookery.posts.post import Post, Visibility
from rookery.posts.sources.files import (
    Read,
    SetAside,
    as_count,
    as_text,
    clear_errors,
    in_batches,
    opened,
)
from rookery.posts.sources.json_values import Value, mapping, mappings, read_values
from rookery.posts.sources.tabular import language_code, parse_time
from rookery.posts.sources.x_compliance import StateKind, of_stream, replaced, withheld

PAGE_KEYS = {"data", "includes", "errors", "meta", "matching_rules", "__twarc"}
COMPLIANCE_EVENTS = {
    "delete", "withheld", "drop", "undrop", "tweet_edit", "scrub_geo", "user_delete", "user_undelete",
    "user_withheld", "user_protect", "user_unprotect", "user_suspend", "user_unsuspend", "user_profile_modification",
}  # fmt: skip
LONGEST_HISTORY_BYTES = 4096
"""At most five edits of a tweet are possible, so that its history is far shorter."""
_DELETIONS = {"delete", "user_delete"}
_HISTORY = re.compile(rb'"edit_history_tweet_ids"\s*:\s*\[([^\]]*,[^\]]*)\]')


def recognizes(first: Any) -> bool:
    """Whether a file that begins with this JSON value is of the X API v2, tweets or anything else
    of it.
    """
    if isinstance(first, list) and first:
        first = first[0]
    if not isinstance(first, dict):
        return False
    if first.keys() <= PAGE_KEYS:
        items = _items(first)
        return (
            _kind(items[0]) is not None
            if items
            else bool({"errors", "meta", "__twarc"} & first.keys())
        )
    is_tweet = _kind(first) == "tweet" and isinstance(
        first.get("public_metrics", first.get("author")), dict
    )
    return is_tweet or "__twarc" in first or _kind(first) in ("deletion_event", "compliance_event")


def read(path: Path) -> Read:
    """The posts of a file in batches of `POST_SCHEMA`, with what stood beside them; raises
    `DataError` on damage.
    """
    older = _replaced(path)
    found = (found for value in read_values(path) for found in _found(value, older.keys()))
    yield from in_batches(itertools.chain(older.values(), found))


def _replaced(path: Path) -> dict[str, Event]:
    """For each version of which the file names a newer one, that it is replaced by the newest.

    The bytes are searched, not the lines, for a document may spread a history over several.
    """
    older: dict[str, Event] = {}
    with clear_errors(path), opened(path) as file:
        seen = b""
        while more := file.read(1 << 20):
            seen = seen[-LONGEST_HISTORY_BYTES:] + more
            for history in _HISTORY.finditer(seen):
                for event in replaced(re.findall(r"\d+", history[1].decode(errors="replace"))):
                    is_newer = event.subject not in older or int(older[event.subject].value) < int(
                        event.value
                    )
                    older[event.subject] = event if is_newer else older[event.subject]
    return older


def _found(given: Value | SetAside, replaced: Collection[str]) -> Iterator[Post | SetAside | Event]:
    """What a page, a streamed or a flattened tweet holds: its own tweets, then those that they
    refer to.
    """
    if isinstance(given, SetAside):
        yield given
        return
    where, page = given.where or "the document", given.value
    items = _items(page)
    if not items:
        yield SetAside(where, "api_error" if "errors" in page else "not_a_post", page)
    included = _Included(page)
    referred = [(f"{where}, referred to", tweet) for tweet in included.tweets(items)]
    own = [
        (f"{where}, item {n}" if len(items) > 1 else where, item) for n, item in enumerate(items, 1)
    ]
    for place, item in own + referred:
        kind = _kind(item)
        if kind in ("deletion_event", "compliance_event") and isinstance(
            events := of_stream(item), list
        ):
            yield from events
            continue
        found = _post(item, included, replaced) if kind == "tweet" else kind or "not_a_post"
        yield found if isinstance(found, Post) else SetAside(place, found, item)
        if isinstance(found, Post):
            yield from included.withheld(item)
    yield from included.states()


def _items(page: Mapping[str, Any]) -> list[Any]:
    """The things that a page is about."""
    data = page.get("data", [] if page.keys() <= PAGE_KEYS else page)
    return data if isinstance(data, list) else [data]


def _kind(item: Any) -> str | None:
    """`tweet`, or what else of the API it is, by the fields that no other kind has."""
    match item:
        case {"id": _, "text": _}:
            return "tweet"
        case {"id": _, "username": _}:
            return "user_profile"
        case {"id": _, "owner_id": _} | {"id": _, "member_count": _}:
            return "list"
        case {"start": _, "end": _, "tweet_count": _}:
            return "tweet_count"
        case {"id": _, "action": action, "reason": _}:
            return "deletion_event" if action == "delete" else "compliance_event"
        case dict() if len(item) == 1 and item.keys() <= COMPLIANCE_EVENTS:
            return "deletion_event" if item.keys() <= _DELETIONS else "compliance_event"
    return None


class _Included:
    """What a page tells beside its tweets, in `includes`; of a flattened tweet, inside it."""

    def __init__(self, page: Mapping[str, Any]):
        self._tweets = _dicts(page, "includes", "tweets")
        users = [item for item in _items(page) if _kind(item) == "user_profile"] + _dicts(
            page, "includes", "users"
        )
        self._users = {as_text(user.get("id")): user for user in users}
        self._places = {
            as_text(item.get("id")): item for item in _dicts(page, "includes", "places")
        }
        self._retrieved = parse_time(as_text(mapping(page.get("__twarc")).get("retrieved_at")))
        self._met: dict[str, Mapping[str, Any]] = {}
        self._media = {
            as_text(item.get("media_key")): item for item in _dicts(page, "includes", "media")
        }

    def tweets(self, items: list[Any]) -> list[Mapping]:
        """The tweets referred to that are not among the items themselves."""
        own = {as_text(item.get("id")) for item in items if isinstance(item, dict)}
        inside = [
            tweet
            for item in items
            for tweet in _dicts(item, "referenced_tweets")
            if "text" in tweet
        ]
        return [tweet for tweet in self._tweets + inside if as_text(tweet.get("id")) not in own]

    def author(self, tweet: Mapping[str, Any]) -> Mapping[str, Any]:
        """The author as an object; if nothing tells of him, with the id alone."""
        author_id = as_text(tweet.get("author_id"))
        author = tweet.get("author")
        author = (
            author if isinstance(author, dict) else self._users.get(author_id, {"id": author_id})
        )
        self._met[as_text(author.get("id")) or author_id] = author
        return author

    def states(self) -> Iterator[Event]:
        """That accounts are protected or withheld: those of the tweets, and the others that the
        page describes.
        """
        for user_id, user in (self._users | self._met).items():
            if user_id and user.get("protected") is True:
                yield Event("state_author", user_id, "protected", "on", self._retrieved)
            if user_id and user.get("withheld"):
                yield self._withheld("state_author", user)

    def withheld(self, tweet: Mapping[str, Any]) -> Iterator[Event]:
        """That a tweet is withheld, if it is."""
        if tweet.get("withheld"):
            yield self._withheld("state_post", tweet)

    def _withheld(self, kind: StateKind, thing: Mapping[str, Any]) -> Event:
        countries = mapping(thing["withheld"]).get("country_codes")
        return withheld(kind, as_text(thing["id"]), countries or None, self._retrieved)

    def place(self, tweet: Mapping[str, Any]) -> str | None:
        """The name of the place that a tweet is tagged with; else its coordinates, as GeoJSON has
        them.
        """
        geo = mapping(tweet.get("geo"))
        place = self._places.get(as_text(geo.get("place_id")), geo)
        if name := as_text(place.get("full_name") or place.get("name")):
            return name
        point = mapping(geo.get("coordinates")).get("coordinates")
        return ", ".join(map(as_text, point)) or None if isinstance(point, list) else None

    def alt_text(self, tweet: Mapping[str, Any]) -> str | None:
        keys = map(as_text, _list(tweet, "attachments", "media_keys"))
        media = [self._media[key] for key in keys if key in self._media] + _dicts(
            tweet, "attachments", "media"
        )
        texts = dict.fromkeys(as_text(item.get("alt_text")) for item in media)
        return "\n".join(filter(None, texts)) or None


def _post(tweet: Mapping[str, Any], included: _Included, replaced: frozenset[str]) -> Post | str:
    """A tweet as a post, or the reason why it is none."""
    tweet_id, author = as_text(tweet["id"]), included.author(tweet)
    author_id = as_text(tweet.get("author_id") or author.get("id"))
    note = tweet.get("note_tweet")
    text = html.unescape(
        as_text(note.get("text") if isinstance(note, dict) else None) or as_text(tweet["text"])
    )
    created = parse_time(as_text(tweet.get("created_at")))
    refers = {
        as_text(ref.get("type")): as_text(ref.get("id"))
        for ref in _dicts(tweet, "referenced_tweets")
    }
    metrics = tweet.get("public_metrics") if isinstance(tweet.get("public_metrics"), dict) else {}
    reasons = [
        ("repost", "retweeted" in refers or text.startswith("RT @")),
        ("edited_since", tweet_id in replaced),
        ("no_id", not tweet_id),
        ("no_text", not text.strip()),
        ("no_author", not author_id),
        ("bad_time", not created),
    ]
    if reason := next((reason for reason, applies in reasons if applies), None):
        return reason
    return Post(
        id=tweet_id,
        author=author_id,
        text=text,
        created=created,
        language=language_code(as_text(tweet.get("lang"))),
        reply_to=refers.get("replied_to"),
        quote_of=refers.get("quoted"),
        conversation=as_text(tweet.get("conversation_id")) or None,
        likes=as_count(metrics.get("like_count")),
        reposts=as_count(metrics.get("retweet_count")),
        replies=as_count(metrics.get("reply_count")),
        alt_text=included.alt_text(tweet),
        visibility=_visibility(tweet, author),
        source="x_api",
        version_of=_first_version(tweet),
        place=included.place(tweet),
    )


def _first_version(tweet: Mapping[str, Any]) -> str | None:
    """The id of the first version of a tweet that was edited."""
    history = list(map(as_text, _list(tweet, "edit_history_tweet_ids")))
    return history[0] if len(history) > 1 else None


def _visibility(tweet: Mapping[str, Any], author: Mapping[str, Any]) -> Visibility:
    scopes = tweet.get("scopes")
    if author.get("protected") is True or (
        isinstance(scopes, dict) and scopes.get("followers") is True
    ):
        return "followers"
    return "public" if author.get("protected") is False else "unknown"


def _dicts(value: Any, *path: str) -> list[dict]:
    """The objects of a list that stands inside."""
    return mappings(_list(value, *path))


def _list(value: Any, *path: str) -> list[Any]:
    """A list that stands inside; empty if there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, list) else []
