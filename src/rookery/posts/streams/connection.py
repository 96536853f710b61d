"""The live streams that can be followed: Jetstream over WebSocket, Mastodon over server-sent
events.

A stream is opened at a position and yields `StreamMessage`s until the connection ends. Its position is the
time (µs) of an event at Jetstream, and the server's own id of a status at Mastodon. What a message
means is for the source's own module (`jetstream.py`, `mastodon.py`); reconnecting and keeping are
`follow.py`'s.

Jetstream keeps some days of events: it is asked for a little more than was missed, and if it does
not repeat the last event that was seen, there may be a gap. Mastodon keeps nothing: the statuses of
a gap are fetched from the timeline, but what was edited or deleted meanwhile nobody tells, so the
gap is reported all the same. Neither's compression is asked for.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from rookery.core.errors import UsageError
from rookery.posts.event import Event
from rookery.posts.post import Post
from rookery.posts.streams.inbox import StreamMessage

MOST_BYTES = 1 << 20
"""A larger message is set aside; posts are of a few kilobytes."""
SILENCE_SECONDS = 60  # both kinds of servers give a sign of life every half a minute at most


class Disconnected(Exception):
    """The connection ended or could not be made; it is worth trying again, at the earliest after so
    many seconds.
    """

    def __init__(self, why: str, after_seconds: float = 0.0):
        super().__init__(why)
        self.why = why
        self.after_seconds = after_seconds


class Stream(Protocol):
    """A live stream. `name` is its address, as it is named in the log."""

    name: str

    def moments(self, position: str | None) -> Iterator[StreamMessage]:
        """Messages from a position on; raises `Disconnected` at the end, `UsageError` where trying
        again is no use.
        """


def posts_and_events(found: list[Post | Event]) -> tuple[tuple[Post, ...], tuple[Event, ...]]:
    return tuple(f for f in found if isinstance(f, Post)), tuple(
        f for f in found if isinstance(f, Event)
    )


def parse_object(message: str | bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def refuse_status(where: str, status: int, headers: Mapping[str, str]) -> None:
    """Too much asked, or a server in trouble: later. Anything else a person has to mend."""
    if status in (408, 425, 429) or status >= 500:
        after = headers.get("Retry-After", "0")
        raise Disconnected(
            f"the server answered {status}", float(after) if after.isdigit() else 0.0
        )
    hint = "Give --token-file" if status in (401, 403) else "See that the address is right"
    raise UsageError(f"the server answered {status}", where=where, hint=hint)


def reason_of(error: Exception) -> str:
    return str(error) or type(error).__name__
