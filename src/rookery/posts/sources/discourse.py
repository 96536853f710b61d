"""Discourse: the JSON answers of a forum, for a topic, its posts, the latest posts, or one post.

Rights. A post is public where the answer shows that anybody may read its topic: a regular topic of
the forum, or a post listed with its category (messages have none). Messages between persons are set
aside by their id alone; whispers among the staff and hidden posts are `direct`; a category that not
everybody may read makes `followers`, an unlisted topic `unlisted`. A post alone (`/posts/11.json`)
does not describe its topic and is `unknown`.

A post that its author or the staff removed is set aside without its text; so are the forum's own
notices. The live log records the same, for the lake may hold the text: a post that its author
deleted is forgotten; one that the staff deleted or hid is taken down, since it may come back.

The text is the page's HTML (`cooked`) as plain text, without quotes of others; where there is none,
the Markdown (`raw`). A topic's title is part of its first post. Ids are the forum's numbers, which
are unique within one forum (see `source_names.py`); a conversation is `topic/57`, since topics and
posts are numbered separately.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rookery.posts.event import Event
from rookery.posts.post import Post, Visibility
from rookery.posts.sources.files import File, Read, SetAside, as_count, clear_errors, in_batches
from rookery.posts.sources.json_values import Value, mapping, mappings, read_values, words
from rookery.posts.sources.markup import Plain, to_plain_text
from rookery.posts.sources.values import language_code, parse_time

REGULAR, MODERATOR_ACTION, SMALL_ACTION, WHISPER = 1, 2, 3, 4
"""`post_type`, as in Discourse's app/models/post.rb."""

LIKE = 2
"""The `id` of likes in `actions_summary`."""

_OPEN_ARCHETYPES = ("regular", "banner")
_NO_DESCRIPTION = "image"
"""The description that the forum gives to a picture without one."""

_LISTS = ("latest_posts", "private_posts")
_OTHERS_WORDS = frozenset({"quote", "onebox", "meta"})
_QUOTE = re.compile(r"\[quote\b[^\]]*\].*?\[/quote\]", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class _Answer:
    """The posts of one answer of the forum, and its description of their topic."""

    posts: list[Any]
    topic: Mapping[str, Any] = field(default_factory=dict)
    is_private: bool = False

    def ids(self) -> dict[tuple[str, str], str]:
        """Return the id of each post by its topic and its number there."""
        posts = mappings(self.posts)
        return {
            (_topic_id(post, self.topic), words(post.get("post_number"))): words(post.get("id"))
            for post in posts
        }


def recognizes(first: object) -> bool:
    """Return whether a file's first value is an answer with posts, or a list of them."""
    if isinstance(first, list):
        return bool(first) and recognizes(first[0])
    return isinstance(first, dict) and _answer(first) is not None


def read(path: File) -> Read:
    """Yield the posts of a file in batches of `POST_SCHEMA`, with rows set aside and events.

    Raises `DataError` if the file is damaged.
    """
    with clear_errors(path):
        yield from in_batches(found for value in read_values(path) for found in _posts(value))


def visibility_of(post: Mapping[str, Any], topic: Mapping[str, Any]) -> Visibility:
    """Return who may read a post that is not a message, as far as it and its topic show."""
    archetype = words(topic.get("archetype"))
    if post.get("hidden") or post.get("post_type") == WHISPER:
        return "direct"
    if any(thing.get("read_restricted") for thing in (topic, post, mapping(topic.get("category")))):
        return "followers"
    is_open = archetype in _OPEN_ARCHETYPES or (not archetype and words(post.get("category_id")))
    if post.get("post_type") != REGULAR or not is_open:
        return "unknown"
    return "unlisted" if topic.get("visible") is False else "public"


def _answer(value: Mapping[str, Any]) -> _Answer | None:
    """Return a value as an answer of the forum; None if it holds no posts."""
    stream = mapping(value.get("post_stream"))
    if isinstance(stream.get("posts"), list):
        return _Answer(stream["posts"], value)
    for name in _LISTS:
        if isinstance(value.get(name), list):
            return _Answer(value[name], is_private=name == "private_posts")
    has_text = {"cooked", "raw"} & value.keys()
    is_post = {"topic_id", "post_number", "username"} <= value.keys()
    return _Answer([value]) if is_post and has_text else None


def _posts(value: Value | SetAside) -> Iterator[Post | SetAside | Event]:
    if isinstance(value, SetAside):
        yield value
        return
    if (answer := _answer(value.value)) is None:
        yield SetAside(value.where or "the document", "not_a_post", value.value)
        return
    ids = answer.ids()
    for number, post in enumerate(answer.posts, 1):
        found = _post(post, answer, ids) if isinstance(post, dict) else "not_a_post"
        if isinstance(found, str):
            row = {"id": post.get("id")} if found in ("deleted", "direct_message") else post
            names = (words(mapping(post).get(name)) for name in ("id", "username"))
            yield SetAside(value.at(f"post {number}"), found, row, *names)
        else:
            yield found
        if isinstance(post, dict):
            yield from _removal(post)


def _removal(post: Mapping[str, Any]) -> Iterator[Event]:
    """Yield the event for a post that its author or the staff removed."""
    post_id, happened = words(post.get("id")), parse_time(words(post.get("deleted_at")))
    if post_id and post.get("user_deleted"):
        yield Event("forget_post", post_id, happened=happened, note="deleted by its author")
    elif post_id and (post.get("deleted_at") or post.get("hidden")):
        happened = happened or parse_time(words(post.get("updated_at")))
        yield Event("state_post", post_id, "taken_down", "on", happened)


def _post(post: dict[str, Any], answer: _Answer, ids: Mapping[tuple[str, str], str]) -> Post | str:
    """Return a post of the forum as a `Post`, or the reason why it is not taken."""
    topic, topic_id = answer.topic, _topic_id(post, answer.topic)
    if post.get("deleted_at") or post.get("user_deleted") or topic.get("deleted_at"):
        return "deleted"
    if post.get("post_type") in (MODERATOR_ACTION, SMALL_ACTION):
        return "notice_of_the_forum"
    if answer.is_private or _is_message(topic):
        return "direct_message"
    plain = _plain(post)
    text = "\n\n".join(filter(None, (_title(post, topic), plain.text)))
    author = words(post.get("username")) or words(post.get("user_id"))
    created = parse_time(words(post.get("created_at")))
    required = (("no_id", words(post.get("id"))), ("no_author", author), ("no_text", text))
    if reason := next((reason for reason, value in required if not value), None):
        return reason
    if created is None:
        return "bad_time"
    return Post(
        id=words(post["id"]),
        author=author,
        text=text,
        created=created,
        language=language_code(words(post.get("locale"))),
        reply_to=ids.get((topic_id, words(post.get("reply_to_post_number")))),
        quote_of=_quoted(plain, topic_id, ids),
        conversation=f"topic/{topic_id}" if topic_id else None,
        likes=_likes(post),
        replies=as_count(post.get("reply_count")),
        alt_text="\n".join(text for text in plain.pictures if text != _NO_DESCRIPTION) or None,
        visibility=visibility_of(post, topic),
        source="discourse",
        edited=_edited(post, created),
    )


def _is_message(topic: Mapping[str, Any]) -> bool:
    """Return whether a topic is a conversation between some persons or groups."""
    people = mapping(topic.get("details"))
    named = people.get("allowed_users") or people.get("allowed_groups")
    return bool(named) or words(topic.get("archetype")) == "private_message"


def _edited(post: Mapping[str, Any], created: datetime) -> datetime | None:
    """Return when a post was changed, None if it never was.

    `updated_at` alone does not show a change, since the forum sets it for other reasons too.
    """
    is_changed = (as_count(post.get("version")) or 1) > 1
    edited = parse_time(words(post.get("updated_at"))) if is_changed else None
    return edited if edited and edited > created else None


def _topic_id(post: Mapping[str, Any], topic: Mapping[str, Any]) -> str:
    return words(post.get("topic_id")) or words(topic.get("id"))


def _plain(post: Mapping[str, Any]) -> Plain:
    if cooked := words(post.get("cooked")):
        return to_plain_text(cooked, _OTHERS_WORDS)
    return Plain(_QUOTE.sub("", words(post.get("raw"))).strip())


def _title(post: Mapping[str, Any], topic: Mapping[str, Any]) -> str:
    is_first = post.get("post_number") == 1
    return (words(topic.get("title")) or words(post.get("topic_title"))).strip() if is_first else ""


def _quoted(plain: Plain, topic_id: str, ids: Mapping[tuple[str, str], str]) -> str | None:
    """Return the id of the first quoted post that is in the same answer."""
    quotes = (
        (part.get("data-topic") or topic_id, part.get("data-post", "")) for part in plain.left_out
    )
    return next((ids[quote] for quote in quotes if quote in ids), None)


def _likes(post: Mapping[str, Any]) -> int | None:
    """Return the number of likes of a post.

    The forum leaves a kind of action out of the summary where nobody took it.
    """
    if "actions_summary" not in post:
        return as_count(post.get("like_count"))
    likes = (action for action in mappings(post["actions_summary"]) if action.get("id") == LIKE)
    return sum(as_count(action.get("count")) or 0 for action in likes)
