"""Reddit: comments and submissions as the Pushshift and Arctic Shift dumps have them, one JSON
object a line.

An id is Reddit's full name, `t1_…` of a comment and `t3_…` of a submission, since that is how
replies name what they answer; the conversation is the submission. A submission's text is its title
and its body.

Rights. The dumps are gathered through Reddit's public interface by readers who belong to no
subreddit, and hold nothing of private or quarantined ones (Arctic Shift,
file_content_explanations.md). So a record that does not name its subreddit's type (none of before
2018 does) is public. Where it does, only what anybody can open is public: a type that is private or
for paying members is `followers`, an unheard-of one `unknown`, and a quarantined subreddit, which
Reddit keeps out of searches, `unlisted`. What the author or a moderator took away is not taken,
also where a dump still has its words; nor is what an account that is gone has left, for its author
could not ask to be forgotten. The live log notes the same, for the lake may hold the words from an
earlier dump: deleted is forgotten, removed or left behind is a state. A record that Reddit tells
robots not to index says no to every use.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np

from rookery.posts.event import Event
from rookery.posts.post import CONSENT_FIELD, Post, Visibility
from rookery.posts.sources.files import Read, SetAside, as_count, as_text, in_batches
from rookery.posts.sources.json_values import Value, mapping, read_values
from rookery.posts.sources.tabular import parse_time

OPEN_TYPES = ("public", "restricted", "archived", "user")
CLOSED_TYPES = ("private", "gold_restricted", "gold_only", "employees_only")
GONE = {
    "[deleted]": "deleted",
    "[deleted by user]": "deleted",
    "[removed]": "removed",
    "[removed by reddit]": "removed",
    "[ removed by reddit ]": "removed",
}
"""What Reddit shows in the place of a text, and by whom it was taken away."""
_CAUSES = {"deleted": "", "removed": "taken_down", "author_deleted": "deleted"}
_BY_AUTHOR = ("deleted", "author")


def recognizes(first: Any) -> bool:
    """Whether a file that begins with this JSON value is a dump of Reddit's comments or
    submissions.
    """
    if isinstance(first, list) and first:
        first = first[0]
    return (
        isinstance(first, dict)
        and "subreddit" in first
        and (_is_comment(first) or _is_submission(first))
    )


def read(path: Path) -> Read:
    """The posts of a dump in batches of `POST_SCHEMA`, with what stood beside them; raises
    `DataError` on damage.
    """
    yield from in_batches(found for value in read_values(path) for found in _found(value))


def _found(given: Value | SetAside) -> Iterator[Post | SetAside | Event]:
    if isinstance(given, SetAside):
        yield given
        return
    found = _post(given.value)
    yield (
        found
        if isinstance(found, Post)
        else SetAside(given.where or "the document", found, given.value)
    )
    if found in _CAUSES:
        yield from _gone(given.value, found)


def _gone(record: Mapping[str, Any], reason: str) -> Iterator[Event]:
    """What the live log notes of a post that is no longer there, as of the time when the dump was
    made.
    """
    post_id = _full_name(
        "t1" if _is_comment(record) else "t3", record.get("name") or record.get("id")
    )
    happened = parse_time(as_text(record.get("retrieved_on") or record.get("retrieved_utc")))
    if post_id and reason == "deleted":
        yield Event("forget_post", post_id, happened=happened, note="deleted by its author")
    elif post_id:
        yield Event("state_post", post_id, _CAUSES[reason], "on", happened)


def _is_comment(record: Mapping[str, Any]) -> bool:
    return "body" in record and bool({"link_id", "parent_id"} & record.keys())


def _is_submission(record: Mapping[str, Any]) -> bool:
    return "title" in record and bool(
        {"selftext", "is_self", "num_comments", "domain"} & record.keys()
    )


def _post(record: Mapping[str, Any]) -> Post | str:
    """A comment or submission as a post, or the reason why it is none."""
    is_comment = _is_comment(record)
    if not (is_comment or _is_submission(record)):
        return "not_a_post"
    post_id = _full_name("t1" if is_comment else "t3", record.get("name") or record.get("id"))
    text, author = _text(record, is_comment), as_text(record.get("author")).strip()
    created = parse_time(as_text(record.get("created_utc")))
    reasons = [
        (_taken_away(record), True),
        ("author_deleted", author.lower() in GONE),
        ("repost", record.get("crosspost_parent")),
        ("no_id", not post_id),
        ("no_text", not text),
        ("no_author", not author),
        ("bad_time", not created),
    ]
    if reason := next((reason for reason, applies in reasons if reason and applies), None):
        return reason
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
        **(
            dict.fromkeys(CONSENT_FIELD.values(), False)
            if record.get("is_robot_indexable") is False
            else {}
        ),
    )


def _edited(said: Any, created: datetime) -> datetime | None:
    """When a text was changed: seconds since 1970; False, and True of before 2012, tell no time."""
    edited = None if isinstance(said, bool) else parse_time(as_text(said))
    return edited if edited and edited > created else None


def _text(record: Mapping[str, Any], is_comment: bool) -> str:
    parts = [record.get("body")] if is_comment else [record.get("title"), record.get("selftext")]
    return "\n\n".join(filter(None, (unescape(as_text(part)).strip() for part in parts)))


def _taken_away(record: Mapping[str, Any]) -> str | None:
    """`deleted` by the author or `removed` by others; None if it stands."""
    for field in ("body", "selftext", "title"):
        if gone := GONE.get(as_text(record.get(field)).strip().lower()):
            return gone
    meta = mapping(record.get("_meta"))
    is_back = meta.get("was_initially_deleted") and not meta.get("was_deleted_later")
    by = (
        record.get("removed_by_category")
        or record.get("removal_reason")
        or (not is_back and meta.get("removal_type"))
    )
    if by or meta.get("was_deleted_later"):
        return "deleted" if not by or by in _BY_AUTHOR else "removed"
    return None


def _full_name(kind: str, given: Any) -> str | None:
    """`t1_cnas8zv` for `cnas8zv` of kind `t1`; a full name as it is."""
    name = as_text(given).strip()
    return name if not name or name.startswith(("t1_", "t3_")) else f"{kind}_{name}"


def _parent(record: Mapping[str, Any], link: str | None) -> str | None:
    """What a comment answers. Pushshift of 2022 and 2023 gives a comment's number, and null for the
    submission.

    The number is the id in base 10 (github.com/voussoir/timesearch/issues/19).
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
