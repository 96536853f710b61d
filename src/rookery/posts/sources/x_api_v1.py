"""X API v1.1: tweets in JSON lines, lists or search answers, and the notices of its streams.

The form of collections made before 2023. A tweet that the stream cut to 140 characters has its
whole text in `extended_tweet`. The tweets inside it are taken as posts too: a retweet is set aside,
and the tweet that it repeats is taken, and so is a quoted one.

Rights, as in v2 (`x_api.py`): a tweet is public only where it holds its author with `"protected":
false`. A protected author means `followers` and is recorded as the author's state; an author who is
not described, or a tweet marked for followers, means `unknown` and `followers`. A tweet or an
account that is withheld in any country is recorded as withheld there (see `x_api.py`). A `delete`
notice forgets its tweet, and the tweet is not taken wherever in the file the notice stands;
`scrub_geo` and the notices of withholding go to the live log too. All other notices (limit,
disconnect, …) are set aside.
"""

import html
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
from rookery.posts.sources.json_values import (
    Value,
    boolean,
    mapping,
    mappings,
    read_values,
    words,
)
from rookery.posts.sources.values import language_code, parse_time
from rookery.posts.sources.x_compliance import replaced, withheld
from rookery.posts.sources.x_links import expanded

SOURCE = "x_api_v1"
DELETED_LATER = "deleted_later"
LONGEST_NOTICE_BYTES = 4096
"""The longest deletion notice found; X's have some hundred bytes."""

_NOTICES = {"delete", "scrub_geo", "status_withheld", "user_withheld", "limit"}
"""The notices by which a file is recognised; it may hold other ones as well."""

_DELETION = re.compile(rb'\{\s*"delete"\s*:\s*\{\s*"status"\s*:\s*\{([^{}]*)\}')
_ID = re.compile(rb'"id(?:_str)?"\s*:\s*"?([0-9]+)')


def recognizes(first: Any) -> bool:
    """Return whether a file that begins with this JSON value is of the X API v1.1."""
    if isinstance(first, list) and first:
        first = first[0]
    if not isinstance(first, dict):
        return False
    if isinstance(first.get("statuses"), list) and "search_metadata" in first:
        return True
    return _is_tweet(first) or (_is_notice(first) and not _is_of_v2(first))


def read(path: File) -> Read:
    """Yield the posts of a file in batches of `POST_SCHEMA`, with rows set aside and events.

    Raises `DataError` if the file is damaged.
    """
    deleted = _deleted(path)
    yield from in_batches(found for value in read_values(path) for found in _items(value, deleted))


def history_of(tweet: Mapping[str, Any]) -> list[str]:
    """Return the ids of all known versions of a tweet, sorted; an empty list if never edited."""
    info = mapping(tweet.get("edit_info"))
    control = mapping(mapping(info.get("edit")).get("editControlInitial"))
    ids = (mapping(info.get("initial")) or control).get("editTweetIds")
    ids = ids or mapping(tweet.get("edit_history")).get("edit_tweet_ids")
    if not isinstance(ids, list) or len(ids) < 2:
        return []
    # ids of X rise with time
    return sorted({words(item) for item in ids} - {""}, key=lambda id_: (len(id_), id_))


def place_of(tweet: Mapping[str, Any]) -> str | None:
    """Return the name of a tweet's place, else its coordinates in the order of GeoJSON."""
    if name := words(mapping(tweet.get("place")).get("full_name")):
        return name
    point = mapping(tweet.get("coordinates")).get("coordinates")
    latitude_first = mapping(tweet.get("geo")).get("coordinates")
    if not point and isinstance(latitude_first, list):
        point = latitude_first[::-1]
    return ", ".join(map(as_text, point)) or None if isinstance(point, list) else None


def alt_text_of(tweet: Mapping[str, Any]) -> str | None:
    """Return the descriptions of a tweet's media, one a line; None if there are none."""
    texts = [as_text(item.get("ext_alt_text")) for item in _attached(tweet)]
    return "\n".join(filter(None, texts)) or None


def media_of(tweet: Mapping[str, Any]) -> str | None:
    """Return the kinds of a tweet's media; this form does not tell of polls."""
    if "entities" not in tweet and "extended_entities" not in tweet:
        return None
    return media.media_of(media.OF_X.get(words(item.get("type"))) for item in _attached(tweet))


def _attached(tweet: Mapping[str, Any]) -> list[dict[str, Any]]:
    return mappings(mapping(tweet.get("extended_entities") or tweet.get("entities")).get("media"))


def visibility_of(tweet: Mapping[str, Any], author: Mapping[str, Any]) -> Visibility:
    """Return who may read a tweet, as far as it and the account in it show."""
    if author.get("protected") is True or mapping(tweet.get("scopes")).get("followers") is True:
        return "followers"
    return "public" if author.get("protected") is False else "unknown"


def _is_tweet(value: Mapping[str, Any]) -> bool:
    is_text = isinstance(value.get("full_text", value.get("text")), str)
    return is_text and ("id_str" in value or "id" in value) and _is_user(value.get("user"))


def _is_user(user: Any) -> bool:
    """Return whether a value is an account of the API, perhaps with its id alone."""
    return isinstance(user, dict) and bool({"screen_name", "id_str"} & user.keys())


def _is_notice(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and value.keys() <= _NOTICES


def _is_of_v2(notice: Mapping[str, Any]) -> bool:
    """Return whether a notice is one of v2, which names a tweet or a user as an object."""
    return bool({"tweet", "user"} & mapping(next(iter(notice.values()))).keys())


def _deleted(path: File) -> set[str]:
    """Return the ids of the tweets that a file's notices delete.

    The bytes are searched, not the lines, for that costs a tenth of decoding them.
    """
    deleted: set[str] = set()
    with clear_errors(path), opened(path) as file:
        seen = b""
        while more := file.read(1 << 20):
            seen = seen[-LONGEST_NOTICE_BYTES:] + more
            for notice in _DELETION.finditer(seen):
                deleted.update(map(bytes.decode, _ID.findall(notice[1])[:1]))
    return deleted


def _items(given: Value | SetAside, deleted: Collection[str]) -> Iterator[Post | SetAside | Event]:
    if isinstance(given, SetAside):
        yield given
        return
    where = given.where or "the document"
    if isinstance(statuses := given.value.get("statuses"), list):
        for number, tweet in enumerate(statuses, 1):
            yield from _tweet(given.at(f"tweet {number}"), mapping(tweet), deleted)
    elif _is_tweet(given.value) or len(given.value) > 1:
        yield from _tweet(where, given.value, deleted)
    elif events := of_notice(given.value):
        yield from events
    else:
        yield SetAside(where, "notice_of_the_stream", None)


def _tweet(
    where: str, tweet: dict[str, Any], deleted: Collection[str]
) -> Iterator[Post | SetAside | Event]:
    """Yield what a tweet holds: itself and its states, then the tweets inside it."""
    author = mapping(tweet.get("user"))
    found, post_id, author_id = _post(tweet, author, deleted), _id_of(tweet), _id_of(author)
    if isinstance(found, Post):
        yield found
    else:
        yield SetAside(where, found, {"id": post_id}, post_id, author_id)
    yield from replaced(history_of(tweet))
    if post_id and (_countries(tweet) or tweet.get("withheld_copyright")):
        yield withheld("state_post", post_id, _countries(tweet) or None, None)
    if author_id and author.get("protected") is True:
        yield Event("state_author", author_id, "protected", "on")
    if author_id and _countries(author):
        yield withheld("state_author", author_id, _countries(author), None)
    for name in ("retweeted_status", "quoted_status"):
        if isinstance(inside := tweet.get(name), dict):
            yield from _tweet(f"{where}, {name}", inside, deleted)


def _countries(thing: Mapping[str, Any]) -> list[str]:
    """Return the countries in which a tweet or an account is withheld.

    Older ones are a text, with commas between the countries.
    """
    given = thing.get("withheld_in_countries")
    named = given if isinstance(given, list) else as_text(given).split(",")
    return [code for code in map(as_text, named) if code.strip()]


def _id_of(thing: Mapping[str, Any]) -> str:
    return words(thing.get("id_str")) or words(thing.get("id"))


def _post(tweet: dict[str, Any], author: Mapping[str, Any], deleted: Collection[str]) -> Post | str:
    """Return a tweet as a post, or the reason why it is not taken."""
    post_id, history = _id_of(tweet), history_of(tweet)
    author_id = _id_of(author) or words(author.get("screen_name"))
    whole = tweet | mapping(tweet.get("extended_tweet"))
    written = html.unescape(as_text(whole.get("full_text") or whole.get("text")))
    text = expanded(written, whole.get("entities"), whole.get("extended_entities"))
    created = parse_time(as_text(tweet.get("created_at")))
    reasons = [
        (DELETED_LATER, post_id in deleted),
        ("repost", "retweeted_status" in tweet or text.startswith("RT @")),
        ("edited_since", bool(history) and post_id != history[-1]),
        ("no_id", not post_id),
        ("no_text", not text.strip()),
        ("no_author", not author_id),
    ]
    if reason := next((reason for reason, applies in reasons if applies), None):
        return reason
    if created is None:
        return "bad_time"
    return Post(
        id=post_id,
        author=author_id,
        text=text,
        created=created,
        language=language_code(as_text(tweet.get("lang"))),
        reply_to=words(tweet.get("in_reply_to_status_id_str")) or None,
        quote_of=words(tweet.get("quoted_status_id_str")) or None,
        likes=as_count(tweet.get("favorite_count")),
        reposts=as_count(tweet.get("retweet_count")),
        replies=as_count(tweet.get("reply_count")),
        alt_text=alt_text_of(whole),
        visibility=visibility_of(tweet, author),
        source=SOURCE,
        version_of=history[0] if history else None,
        place=place_of(tweet),
        sensitive=boolean(tweet.get("possibly_sensitive")),
        media=media_of(whole),
    )


def of_notice(notice: Mapping[str, Any]) -> list[Event]:
    """Return the event that a notice of a stream asks for; none if it asks for nothing."""
    kind, given = next(iter(notice.items()), ("", None))
    details = mapping(given)
    post = _id_of(mapping(details.get("status")))
    subject = _id_of(details)
    user = words(details.get("user_id_str")) or words(details.get("user_id"))
    if kind == "delete" and post:
        return [Event("forget_post", post, note="deleted by its author")]
    if kind == "scrub_geo" and user:
        last = words(details.get("up_to_status_id_str")) or words(details.get("up_to_status_id"))
        return [Event("scrub_place", user, value=last)]
    if kind == "status_withheld" and subject:
        return [withheld("state_post", subject, _countries(details) or None, None)]
    if kind == "user_withheld" and subject:
        return [withheld("state_author", subject, _countries(details) or None, None)]
    return []
