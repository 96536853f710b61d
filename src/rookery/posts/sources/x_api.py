"""X API v2: pages, streamed and flattened tweets, in JSON lines as twarc and others write them.

A page is `{"data": [tweets], "includes": {users, media, tweets}}`, a stream's line has one tweet as
its `data`; a flattened tweet is an object of its own, with its `author` and the tweets that it
refers to inside it. The tweets referred to are taken as posts too: a retweet is set aside, and the
tweet that it repeats is taken.

Rights. The API also shows a collector the protected accounts that they follow, so a tweet is public
only where the file holds its author with `"protected": false`. A protected author means `followers`
and is recorded as the author's state, which applies to their earlier posts too; an author whom the
file does not describe means `unknown`. A tweet that is withheld in any country is taken and
recorded as withheld there: search shows it to readers elsewhere, and nothing else uses it, until a
compliance event or `rookery posts state` ends that. States begin when the page was retrieved, where
it gives that time.

Edits. Each version keeps its own id, which is what replies, quotes and deletions name. As soon as
any edit history in the file names a newer version, whether or not the file holds that one, a
version is set aside and recorded as replaced: its author has replaced the text. Events of
compliance go to the live log; users, lists and counts are not posts, and are set aside under those
names.
"""

import html
import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from rookery.posts.event import Event
from rookery.posts.post import Post, Visibility
from rookery.posts.sources import media
from rookery.posts.sources.files import (
    File,
    Read,
    SetAside,
    as_count,
    as_text,
    clear_errors,
    in_batches,
    opened,
)
from rookery.posts.sources.json_values import Value, boolean, mapping, mappings, read_values
from rookery.posts.sources.values import language_code, parse_time
from rookery.posts.sources.x_compliance import StateKind, of_stream, replaced, withheld
from rookery.posts.sources.x_links import expanded

PAGE_KEYS = {"data", "includes", "errors", "meta", "matching_rules", "__twarc"}
COMPLIANCE_EVENTS = {
    "delete", "withheld", "drop", "undrop", "tweet_edit", "scrub_geo", "user_delete",
    "user_undelete", "user_withheld", "user_protect", "user_unprotect", "user_suspend",
    "user_unsuspend", "user_profile_modification",
}  # fmt: skip
LONGEST_HISTORY_BYTES = 4096
"""The longest history found; a tweet can be edited five times, so histories are far shorter."""
_DELETIONS = {"delete", "user_delete"}
_HISTORY = re.compile(rb'"edit_history_tweet_ids"\s*:\s*\[([^\]]*,[^\]]*)\]')


def recognizes(first: Any) -> bool:
    """Return whether a file that begins with this JSON value is of the X API v2."""
    if isinstance(first, list) and first:
        first = first[0]
    if not isinstance(first, dict):
        return False
    if first.keys() <= PAGE_KEYS:
        if items := _items(first):
            return _kind(items[0]) is not None
        return bool({"errors", "meta", "__twarc"} & first.keys())
    described = first.get("public_metrics", first.get("author"))
    is_tweet = _kind(first) == "tweet" and isinstance(described, dict)
    return is_tweet or "__twarc" in first or _kind(first) in ("deletion_event", "compliance_event")


def read(path: File) -> Read:
    """Yield the posts of a file in batches of `POST_SCHEMA`, with rows set aside and events.

    Raises `DataError` if the file is damaged.
    """
    older = _replaced(path)
    found = (found for value in read_values(path) for found in _items_of(value, older))
    yield from in_batches(itertools.chain(older.values(), found))


def _replaced(path: File) -> dict[str, Event]:
    """Return, for each version with a newer one in the file, the event that the newest replaces it.

    The bytes are searched, not the lines, for a document may spread a history over several lines.
    """
    older: dict[str, Event] = {}
    with clear_errors(path), opened(path) as file:
        seen = b""
        while more := file.read(1 << 20):
            seen = seen[-LONGEST_HISTORY_BYTES:] + more
            for history in _HISTORY.finditer(seen):
                for event in replaced(re.findall(r"\d+", history[1].decode(errors="replace"))):
                    known = older.setdefault(event.subject, event)
                    if int(known.value) < int(event.value):
                        older[event.subject] = event
    return older


def _items_of(
    given: Value | SetAside, replaced: Collection[str]
) -> Iterator[Post | SetAside | Event]:
    """Yield what a page, a streamed or a flattened tweet holds, then the tweets it refers to."""
    if isinstance(given, SetAside):
        yield given
        return
    where, page = given.where or "the document", given.value
    items = _items(page)
    if not items:
        yield SetAside(where, "api_error" if "errors" in page else "not_a_post", page)
    included = _Included(page)
    places = [f"{where}, item {n}" if len(items) > 1 else where for n in range(1, len(items) + 1)]
    referred = [(f"{where}, referred to", tweet) for tweet in included.tweets(items)]
    for place, item in [*zip(places, items, strict=True), *referred]:
        yield from _item(place, item, included, replaced)
    yield from included.states()


def _item(
    place: str, item: Any, included: "_Included", replaced: Collection[str]
) -> Iterator[Post | SetAside | Event]:
    kind = _kind(item)
    if kind in ("deletion_event", "compliance_event"):
        events = of_stream(item)
        if isinstance(events, list):
            yield from events
            return
    found = _post(item, included, replaced) if kind == "tweet" else kind or "not_a_post"
    if isinstance(found, Post):
        yield found
        yield from included.withheld(item)
    else:
        tweet = item if kind == "tweet" else {}
        wrong = as_text(tweet.get("created_at")) if found == "bad_time" else ""
        names = as_text(tweet.get("id")), as_text(tweet.get("author_id"))
        yield SetAside(place, found, item, *names, wrong)


def _items(page: Mapping[str, Any]) -> list[Any]:
    """Return the items of a page: the list in its `data`, or the page itself if it has none."""
    data = page.get("data", [] if page.keys() <= PAGE_KEYS else page)
    return data if isinstance(data, list) else [data]


def _kind(item: Any) -> str | None:
    """Return `tweet` or another kind of the API, by the fields that only it has; else None."""
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
    """The objects beside the tweets of a page, in `includes` or inside a flattened tweet."""

    def __init__(self, page: Mapping[str, Any]):
        self._tweets = _dicts(page, "includes", "tweets")
        users = [item for item in _items(page) if _kind(item) == "user_profile"]
        self._users = _by(users + _dicts(page, "includes", "users"), "id")
        self._places = _by(_dicts(page, "includes", "places"), "id")
        self._media = _by(_dicts(page, "includes", "media"), "media_key")
        self._tells_media = "media" in mapping(page.get("includes"))
        self._retrieved = parse_time(as_text(mapping(page.get("__twarc")).get("retrieved_at")))
        self._authors: dict[str, Mapping[str, Any]] = {}

    def tweets(self, items: list[Any]) -> list[Mapping[str, Any]]:
        """Return the tweets referred to that are not among the items themselves."""
        own = {as_text(item.get("id")) for item in items if isinstance(item, dict)}
        referenced = (tweet for item in items for tweet in _dicts(item, "referenced_tweets"))
        inside = [tweet for tweet in referenced if "text" in tweet]
        return [tweet for tweet in self._tweets + inside if as_text(tweet.get("id")) not in own]

    def author(self, tweet: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the author as an object, with the id alone if nothing describes them.

        `states` reports on every author that was asked for here.
        """
        author_id = as_text(tweet.get("author_id"))
        author = tweet.get("author")
        if not isinstance(author, dict):
            author = self._users.get(author_id, {"id": author_id})
        self._authors[as_text(author.get("id")) or author_id] = author
        return author

    def states(self) -> Iterator[Event]:
        """Yield the events that accounts are protected or withheld.

        The accounts are those of the tweets, and the others that the page describes.
        """
        for user_id, user in (self._users | self._authors).items():
            if user_id and user.get("protected") is True:
                yield Event("state_author", user_id, "protected", "on", self._retrieved)
            if user_id and user.get("withheld"):
                yield self._withheld("state_author", user)

    def withheld(self, tweet: Mapping[str, Any]) -> Iterator[Event]:
        """Yield the event that a tweet is withheld, if it is."""
        if tweet.get("withheld"):
            yield self._withheld("state_post", tweet)

    def _withheld(self, kind: StateKind, thing: Mapping[str, Any]) -> Event:
        countries = mapping(thing["withheld"]).get("country_codes")
        return withheld(kind, as_text(thing["id"]), countries or None, self._retrieved)

    def place(self, tweet: Mapping[str, Any]) -> str | None:
        """Return the name of the tweet's place, else its coordinates in the order of GeoJSON."""
        geo = mapping(tweet.get("geo"))
        place = self._places.get(as_text(geo.get("place_id")), geo)
        if name := as_text(place.get("full_name") or place.get("name")):
            return name
        point = mapping(geo.get("coordinates")).get("coordinates")
        return ", ".join(map(as_text, point)) or None if isinstance(point, list) else None

    def alt_text(self, tweet: Mapping[str, Any]) -> str | None:
        """Return the descriptions of the tweet's media, one a line; None if there are none."""
        texts = dict.fromkeys(as_text(item.get("alt_text")) for item in self._attached(tweet))
        return "\n".join(filter(None, texts)) or None

    def media(self, tweet: Mapping[str, Any]) -> str | None:
        """Return the kinds of the tweet's media.

        A tweet without attachments has none if the page describes the media of others; else nobody
        may have asked for them.
        """
        attachments = mapping(tweet.get("attachments"))
        if not attachments:
            return "" if self._tells_media else None
        kinds = [media.OF_X.get(as_text(item.get("type"))) for item in self._attached(tweet)]
        if attachments.get("poll_ids") or attachments.get("poll"):
            kinds.append("poll")
        return media.media_of(kinds or [None])

    def _attached(self, tweet: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the media of a tweet; an empty object for one that the page does not describe."""
        keys = map(as_text, _list(tweet, "attachments", "media_keys"))
        inside = _dicts(tweet, "attachments", "media")
        return [*inside, *(self._media.get(key, {}) for key in keys if not inside)]


def _post(tweet: Mapping[str, Any], included: _Included, replaced: Collection[str]) -> Post | str:
    """Return a tweet as a post, or the reason why it is not taken."""
    tweet_id, author = as_text(tweet["id"]), included.author(tweet)
    author_id = as_text(tweet.get("author_id") or author.get("id"))
    note = mapping(tweet.get("note_tweet"))
    written = html.unescape(as_text(note.get("text")) or as_text(tweet["text"]))
    text = expanded(written, tweet.get("entities"), note.get("entities"))
    created = parse_time(as_text(tweet.get("created_at")))
    references = _dicts(tweet, "referenced_tweets")
    refers = {as_text(ref.get("type")): as_text(ref.get("id")) for ref in references}
    metrics = mapping(tweet.get("public_metrics"))
    reasons = [
        ("repost", "retweeted" in refers or text.startswith("RT @")),
        ("edited_since", tweet_id in replaced),
        ("no_id", not tweet_id),
        ("no_text", not text.strip()),
        ("no_author", not author_id),
    ]
    if reason := next((reason for reason, applies in reasons if applies), None):
        return reason
    if created is None:
        return "bad_time"
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
        sensitive=boolean(tweet.get("possibly_sensitive")),
        media=included.media(tweet),
    )


def _first_version(tweet: Mapping[str, Any]) -> str | None:
    """Return the id of the first version of a tweet that was edited; None if it never was."""
    history = list(map(as_text, _list(tweet, "edit_history_tweet_ids")))
    return history[0] if len(history) > 1 else None


def _visibility(tweet: Mapping[str, Any], author: Mapping[str, Any]) -> Visibility:
    scopes = tweet.get("scopes")
    if author.get("protected") is True or mapping(scopes).get("followers") is True:
        return "followers"
    return "public" if author.get("protected") is False else "unknown"


def _by(items: list[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    return {as_text(item.get(key)): item for item in items}


def _dicts(value: Any, *path: str) -> list[dict[str, Any]]:
    """Return the objects of the list at a path inside a value."""
    return mappings(_list(value, *path))


def _list(value: Any, *path: str) -> list[Any]:
    """Return the list at a path inside a value; an empty one if there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, list) else []
