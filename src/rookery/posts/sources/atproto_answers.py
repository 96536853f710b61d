"""AT-proto answers: what an app server or a repository's host returns as JSON, a page or a line.

Three forms. Views of posts: `getAuthorFeed`, `getTimeline` and `getFeed` (a list `feed`),
`searchPosts` and `getPosts` (`posts`), `getPostThread` (`thread`), or one view a line. Records:
`listRecords` (`records`) and `getRecord`. The records inside are read in `atproto.py`.

Rights. A view shows the labels that the network put on the post and on its author, beside those
that the author put on the record: `!no-unauthenticated`, `!hide` or `!takedown` on the post refuses
every use; on its author it is the state `signed_in_only` of the account, as of the latest post that
shows it. A label that is negated or has expired does not count, and a view without labels ends no
state. Of a repost in a feed the post that it repeats is taken. What a thread shows in place of a
post that is gone or blocked is set aside by its address. An answer of records has no time of its
own, so what a profile or a preference in it refuses holds from the ingest on, and what it allows
holds only since it was declared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from rookery.posts.event import Event
from rookery.posts.post import USES, Post
from rookery.posts.sources import atproto
from rookery.posts.sources.files import File, Read, SetAside, as_count, in_batches
from rookery.posts.sources.json_values import Value, mapping, mappings, read_values, words
from rookery.posts.sources.refusals import refusals
from rookery.posts.sources.values import parse_time

SOURCE = "atproto_answers"
CLOSING_LABELS = atproto.REFUSING_LABELS | {"!takedown"}
_PAGES = ("feed", "posts", "records")
_CLOSES = ("on", "no")  # values of events that restrict
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class _Closed:
    """The authors whose account is closed to those who are not signed in.

    seen: when that was last seen; None if a view does not show its time.
    """

    seen: dict[str, datetime | None] = field(default_factory=dict)

    def note(self, view: Mapping[str, Any]) -> None:
        """Note the author of a view, if the labels close the account."""
        author = mapping(view.get("author"))
        seen = parse_time(words(view.get("indexedAt")))
        did = words(author.get("did"))
        if did and _labels(author, seen) & CLOSING_LABELS:
            known = self.seen.get(did, seen)
            self.seen[did] = max(seen, known) if seen and known else None

    def events(self) -> Iterator[Event]:
        """Yield the states of the authors."""
        for did, seen in self.seen.items():
            yield Event("state_author", did, "signed_in_only", "on", seen)


def recognizes(first: object) -> bool:
    """Return whether a file's first value is such an answer, one view or record, or a list."""
    if isinstance(first, list):
        return bool(first) and recognizes(first[0])
    if not isinstance(first, dict):
        return False
    pages = [items[0] for name in _PAGES if (items := mappings(first.get(name)))]
    found = [first, *pages, mapping(first.get("thread"))]
    return any(_is_view(item) or _is_view(item.get("post")) or _is_record(item) for item in found)


def read(path: File) -> Read:
    """Yield the posts of a file in batches of `POST_SCHEMA`, with rows set aside and events.

    Raises `DataError` if the file is damaged.
    """
    yield from in_batches(_read(path))


def _read(path: File) -> Iterator[Post | SetAside | Event]:
    closed = _Closed()
    for value in read_values(path):
        if isinstance(value, SetAside):
            yield value
            continue
        for where, item in _items(value):
            yield from _of_item(where, item, closed)
    yield from closed.events()


def _items(value: Value) -> Iterator[tuple[str, Any]]:
    """Yield the items of an answer, each with its position; a value that is no page is one item."""
    page = next((name for name in _PAGES if isinstance(value.value.get(name), list)), None)
    if page:
        for number, item in enumerate(value.value[page], 1):
            yield value.at(f"item {number}"), item
        return
    where = value.where or "the answer"
    if "thread" not in value.value:
        yield where, value.value
        return
    waiting: list[Any] = [value.value["thread"]]  # from the end, and so in the order of the thread
    while waiting:
        if not (node := mapping(waiting.pop())):
            continue
        yield where, node
        replies = node.get("replies")
        waiting += reversed(replies if isinstance(replies, list) else [])
        waiting.append(node.get("parent"))


def _of_item(where: str, item: Any, closed: _Closed) -> Iterator[Post | SetAside | Event]:
    """Yield the post, or the events of its author, that an item holds."""
    item = mapping(item)
    view = item if _is_view(item) else mapping(item.get("post"))
    if _is_record(item):
        yield from _of_record(where, item)
    elif _is_view(view):
        closed.note(view)
        uri, did = words(view["uri"]), words(mapping(view.get("author")).get("did"))
        found = _post(view)
        yield found if isinstance(found, Post) else SetAside(where, found, {"id": uri}, uri, did)
    else:
        uri = words(item.get("uri"))
        reasons = {"notFound": "not_found", "blocked": "blocked", "error": "api_error"}
        reason = next((reasons[key] for key in reasons if item.get(key)), "not_a_post")
        yield SetAside(where, reason, {"id": uri}, uri)


def _post(view: Mapping[str, Any]) -> Post | str:
    """Return the post of a view, or the reason why it is not taken."""
    did, collection, rkey = _parts(words(view["uri"]))
    if did != words(mapping(view.get("author")).get("did")):
        return "not_the_owners"
    if collection != atproto.POST:
        return "other_collection"
    seen = parse_time(words(view.get("indexedAt")))
    found = atproto.post_of(did, rkey, mapping(view.get("record")), seen, SOURCE)
    if isinstance(found, str):
        return found
    closing = _labels(view, seen) & CLOSING_LABELS
    return replace(
        found,
        likes=as_count(view.get("likeCount")),
        reposts=as_count(view.get("repostCount")),
        replies=as_count(view.get("replyCount")),
        **refusals(USES if closing else ()),
    )


def _of_record(where: str, item: Mapping[str, Any]) -> Iterator[Post | SetAside | Event]:
    uri, record = words(item["uri"]), mapping(item["value"])
    did, collection, rkey = _parts(uri)
    if collection == atproto.POST:
        found = atproto.post_of(did, rkey, record, atproto.time_of_tid(rkey), SOURCE)
        yield found if isinstance(found, Post) else SetAside(where, found, {"id": uri}, uri, did)
        return
    declared = atproto.declared_at(record, None)
    events = atproto.author_events(did, collection, record, declared)
    for event in events:
        yield replace(event, happened=None if event.value in _CLOSES else declared or _LONG_AGO)
    if not events:
        reason = "repost" if collection == "app.bsky.feed.repost" else "other_collection"
        yield SetAside(where, reason, {"id": uri}, uri, did)


def _is_view(value: Any) -> bool:
    is_view = isinstance(value, dict) and isinstance(value.get("record"), dict)
    return is_view and "author" in value and words(value.get("uri")).startswith("at://")


def _is_record(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("value"), dict) and words(value.get("uri")).startswith("at://did:")


def _parts(uri: str) -> tuple[str, str, str]:
    """Return the account, the collection and the key of an `at://` address, empty if missing."""
    did, collection, rkey, *_ = [*uri.removeprefix("at://").split("/"), "", ""]
    return did, collection, rkey


def _labels(thing: Mapping[str, Any], now: datetime | None) -> set[str]:
    """Return the labels of a view or of an account that hold at a time.

    A negation holds for the same label of the same maker.
    """
    held: set[tuple[str, str]] = set()
    ended: set[tuple[str, str]] = set()
    for label in mappings(thing.get("labels")):
        expires = parse_time(words(label.get("exp")))
        is_over = label.get("neg") is True or bool(now and expires and expires <= now)
        (ended if is_over else held).add((words(label.get("src")), words(label.get("val"))))
    return {value for _, value in held - ended}
