"""X's compliance events, one at a time, as events of the live log.

Files of them are read in `posts/compliance.py`. Sources: docs.x.com, "Compliance streams" (an
object with one key, the kind) and "Batch compliance" (id, action, reason). An empty list of
countries ends a withholding.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from rookery.posts.event import THE_POST, Event
from rookery.posts.sources.json_values import mapping, words
from rookery.posts.sources.values import parse_time

StateKind = Literal["state_post", "state_author"]

USER_STATES = {
    "user_protect": ("protected", "on"),
    "user_unprotect": ("protected", "off"),
    "user_suspend": ("suspended", "on"),
    "user_unsuspend": ("suspended", "off"),
    "user_delete": ("deleted", "on"),
    "user_undelete": ("deleted", "off"),
}
POST_STATES = {"drop": ("dropped", "on"), "undrop": ("dropped", "off")}
BATCH_CAUSES = {
    "deactivated": "deactivated",
    "protected": "protected",
    "suspended": "suspended",
    "offboarded": "suspended",
    "bounced": "dropped",
    "withheld": "withheld",
}
"""The state in the live log for each reason of batch compliance that may end again."""

BATCH_KEYS = {"id", "action", "reason"}


def of_stream(item: Mapping[str, Any]) -> list[Event] | str:
    """Return the events that one object of a compliance stream asks for.

    A string is the reason why nothing follows from it.
    """
    kind, given = next(iter(item.items()), ("", None))
    details = mapping(given)
    post = words(mapping(details.get("tweet")).get("id"))
    user = words(mapping(details.get("user")).get("id"))
    happened = parse_time(words(details.get("event_at")))
    if len(item) != 1 or not (post or user):
        return "not_understood"
    if kind == "delete" and post:
        return [Event("forget_post", post, happened=happened, note="deleted at X")]
    if kind in POST_STATES and post:
        return [Event("state_post", post, *POST_STATES[kind], happened)]
    if kind in USER_STATES and user:
        return [Event("state_author", user, *USER_STATES[kind], happened)]
    if kind in ("withheld", "user_withheld"):
        countries = details.get("withheld_in_countries")
        state: StateKind = "state_post" if post else "state_author"
        return [withheld(state, post or user, countries, happened)]
    if kind == "tweet_edit" and post:
        versions = mapping(details["tweet"]).get("edit_tweet_ids")
        return replaced(versions, happened) or "no_other_version"
    if kind == "scrub_geo" and user:
        last = words(details.get("up_to_tweet_id"))
        return [Event("scrub_place", user, value=last, happened=happened)]
    return "profile_change" if kind == "user_profile_modification" else "not_understood"


def of_batch(item: Mapping[str, Any], is_post: bool) -> list[Event] | str:
    """Return the events that one line of batch compliance asks for.

    A string is the reason why nothing follows from it. `is_post`: whether the ids of the batch are
    of posts, not of authors.
    """
    subject, reason = words(item.get("id")), words(item.get("reason"))
    happened = parse_time(words(item.get("redacted_at")))
    if not subject or item.get("action") != "delete":
        return "not_understood"
    if reason == "deleted":
        if is_post:
            return [Event("forget_post", subject, happened=happened, note="deleted at X")]
        return [Event("state_author", subject, "deleted", "on", happened)]
    if reason == "scrub_geo":
        return [Event("scrub_place", subject, THE_POST if is_post else "", happened=happened)]
    if reason not in BATCH_CAUSES:
        return "not_understood"
    kind: StateKind = "state_post" if is_post else "state_author"
    return [Event(kind, subject, BATCH_CAUSES[reason], "on", happened)]


def replaced(history: Any, happened: datetime | None = None) -> list[Event]:
    """Return for each version of an edit history but the newest that the newest replaces it.

    The newest has the highest id: ids of X rise with time.
    """
    named = map(words, history if isinstance(history, list) else ())
    ids = sorted({tweet_id for tweet_id in named if re.fullmatch("[0-9]{1,20}", tweet_id)}, key=int)
    return [
        Event("replace_post", tweet_id, value=ids[-1], happened=happened) for tweet_id in ids[:-1]
    ]


def withheld(kind: StateKind, subject: str, countries: Any, happened: datetime | None) -> Event:
    """Return the event that a post or an author is withheld in some countries, or no longer is."""
    named = countries if isinstance(countries, list) else [countries]
    names = [words(name).strip().upper() for name in named]
    value = "off" if countries == [] else "on"
    return Event(kind, subject, "withheld", value, happened, " ".join(filter(None, names)))
