"""Reddit: comments and submissions as in the Pushshift and Arctic Shift dumps, in JSON lines.

An id is Reddit's full name, `t1_…` of a comment and `t3_…` of a submission, since replies name
their parent that way; the conversation is the submission. A submission's text is its title and its
body.

Rights. The dumps are gathered through Reddit's public interface by readers who belong to no
subreddit, and hold nothing of private or quarantined ones (Arctic Shift,
file_content_explanations.md). So a record without its subreddit's type (every record before 2018)
is public. With a type, only what anybody can open is public: a subreddit that is private or for
paying members is `followers`, one of an unknown type `unknown`, and a quarantined one, which Reddit
keeps out of searches, `unlisted`.

What the author or a moderator removed is not taken, even where a dump still has its text. Nor is a
post whose account is deleted, for its author could not ask to be forgotten. The live log records
the same, for the lake may hold the text from an earlier dump: a deleted post is forgotten; a
removed one, or one of a deleted account, is in a state. A record that Reddit tells robots not to
index refuses every use.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from html import unescape
from typing import Any

import numpy as np

from rookery.posts.event import Event
from rookery.posts.post import USES, Post, Visibility
from rookery.posts.sources.files import File, Read, SetAside, as_count, as_text, in_batches
from rookery.posts.sources.json_values import Value, boolean, mapping, read_values
from rookery.posts.sources.media import Kind, media_of
from rookery.posts.sources.refusals import refusals
from rookery.posts.sources.values import parse_time

OPEN_TYPES = ("public", "restricted", "archived", "user")
CLOSED_TYPES = ("private", "gold_restricted", "gold_only", "employees_only")
PLACEHOLDERS = {
    "[deleted]": "deleted",
    "[deleted by user]": "deleted",
    "[removed]": "removed",
    "[removed by reddit]": "removed",
    "[ removed by reddit ]": "removed",
}
"""What Reddit shows in place of a text that was `deleted` by its author or `removed` by others."""
_CAUSES = {"removed": "taken_down", "author_deleted": "deleted"}
"""The state in the live log for each reason why a post is not taken."""
_BY_AUTHOR = ("deleted", "author")


def recognizes(first: Any) -> bool:
    """Return whether a file that begins with this JSON value is a dump of Reddit."""
    if isinstance(first, list) and first:
        first = first[0]
    return (
        isinstance(first, dict)
        and "subreddit" in first
        and (_is_comment(first) or _is_submission(first))
    )


def read(path: File) -> Read:
    """Yield the posts of a dump in batches of `POST_SCHEMA`, with rows set aside and events.

    Raises `DataError` if the file is damaged.
    """
    yield from in_batches(found for value in read_values(path) for found in _items(value))


def _items(given: Value | SetAside) -> Iterator[Post | SetAside | Event]:
    if isinstance(given, SetAside):
        yield given
        return
    found = _post(given.value)
    if isinstance(found, Post):
        yield found
    else:
        post_id, author = _id(given.value), as_text(given.value.get("author")).strip()
        wrong = as_text(given.value.get("created_utc")) if found == "bad_time" else ""
        where = given.where or "the document"
        yield SetAside(where, found, given.value, post_id, author, wrong)
        yield from _removal(given.value, found)


def _removal(record: Mapping[str, Any], reason: str) -> Iterator[Event]:
    """Yield the event for a post that was removed, as of the time when the dump was made."""
    post_id = _id(record)
    happened = parse_time(as_text(record.get("retrieved_on") or record.get("retrieved_utc")))
    if not post_id:
        return
    if reason == "deleted":
        yield Event("forget_post", post_id, happened=happened, note="deleted by its author")
    elif reason in _CAUSES:
        yield Event("state_post", post_id, _CAUSES[reason], "on", happened)


def _is_comment(record: Mapping[str, Any]) -> bool:
    return "body" in record and bool({"link_id", "parent_id"} & record.keys())


def _is_submission(record: Mapping[str, Any]) -> bool:
    return "title" in record and bool(
        {"selftext", "is_self", "num_comments", "domain"} & record.keys()
    )


def _post(record: Mapping[str, Any]) -> Post | str:
    """Return a comment or submission as a post, or the reason why it is none."""
    is_comment, post_id = _is_comment(record), _id(record)
    if not (is_comment or _is_submission(record)):
        return "not_a_post"
    text, author = _text(record, is_comment), as_text(record.get("author")).strip()
    created = parse_time(as_text(record.get("created_utc")))
    reasons = [
        (_removed_by(record), True),
        ("author_deleted", author.lower() in PLACEHOLDERS),
        ("repost", record.get("crosspost_parent")),
        ("no_id", not post_id),
        ("no_text", not text),
        ("no_author", not author),
    ]
    if reason := next((reason for reason, applies in reasons if reason and applies), None):
        return reason
    if created is None:
        return "bad_time"
    link = _full_name("t3", record.get("link_id")) if is_comment else post_id
    return Post(
        id=post_id,
        author=author,
        text=text,
        created=created,
        reply_to=_parent(record, link) if is_comment else None,
        conversation=link,
        likes=as_count(record.get("score")),
        replies=as_count(record.get("num_comments")),
        visibility=_visibility(record),
        source="reddit",
        edited=_edited(record.get("edited"), created),
        sensitive=boolean(record.get("over_18")),
        media=None if is_comment else _media(record),
        **refusals(USES if record.get("is_robot_indexable") is False else ()),
    )


def _media(record: Mapping[str, Any]) -> str | None:
    """Return the kinds of a submission's media; None where the dump has no word of them."""
    if "is_video" not in record and "post_hint" not in record:
        return None
    hint = as_text(record.get("post_hint"))
    told: dict[Kind, object] = {
        "image": hint == "image" or record.get("is_gallery"),
        "video": hint in ("hosted:video", "rich:video") or record.get("is_video"),
        "poll": record.get("poll_data"),
    }
    return media_of(kind for kind, there in told.items() if there)


def _edited(given: Any, created: datetime) -> datetime | None:
    """Return when a text was changed, None where that is not known.

    The field is seconds since 1970; False, and True before 2012, give no time.
    """
    edited = None if isinstance(given, bool) else parse_time(as_text(given))
    return edited if edited and edited > created else None


def _text(record: Mapping[str, Any], is_comment: bool) -> str:
    parts = [record.get("body")] if is_comment else [record.get("title"), record.get("selftext")]
    return "\n\n".join(filter(None, (unescape(as_text(part)).strip() for part in parts)))


def _removed_by(record: Mapping[str, Any]) -> str | None:
    """Return `deleted` if the author removed the post, `removed` if others did, else None."""
    for field in ("body", "selftext", "title"):
        if reason := PLACEHOLDERS.get(as_text(record.get(field)).strip().lower()):
            return reason
    meta = mapping(record.get("_meta"))
    is_restored = meta.get("was_initially_deleted") and not meta.get("was_deleted_later")
    by = (
        record.get("removed_by_category")
        or record.get("removal_reason")
        or (not is_restored and meta.get("removal_type"))
    )
    if by or meta.get("was_deleted_later"):
        return "deleted" if not by or by in _BY_AUTHOR else "removed"
    return None


def _id(record: Mapping[str, Any]) -> str:
    kind = "t1" if _is_comment(record) else "t3"
    return _full_name(kind, record.get("name") or record.get("id"))


def _full_name(kind: str, given: Any) -> str:
    """Return `t1_cnas8zv` for `cnas8zv` of kind `t1`; a full name as it is."""
    name = as_text(given).strip()
    return name if not name or name.startswith(("t1_", "t3_")) else f"{kind}_{name}"


def _parent(record: Mapping[str, Any], link: str) -> str:
    """Return the full name of what a comment answers.

    Pushshift of 2022 and 2023 gives a comment's number, which is the id in base 10
    (github.com/voussoir/timesearch/issues/19), and null for the submission.
    """
    given = record.get("parent_id")
    if isinstance(given, int | float):
        return f"t1_{np.base_repr(int(given), 36).lower()}" if given > 0 else link
    return _full_name("t1", given) or link


def _visibility(record: Mapping[str, Any]) -> Visibility:
    kind = as_text(record.get("subreddit_type"))
    if kind in CLOSED_TYPES:
        return "followers"
    if kind and kind not in OPEN_TYPES:
        return "unknown"
    return "unlisted" if record.get("quarantine") or record.get("quarantined") else "public"
