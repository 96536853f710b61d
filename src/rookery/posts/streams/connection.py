"""What all live streams share: the `Stream` protocol, a lost connection, and refusals.

A stream is opened at a position and yields `StreamMessage`s until the connection ends. Its position
is the time (µs) of an event at Jetstream, which speaks over WebSocket (`jetstream.py`), and the
server's own id of a status at Mastodon, which sends server-sent events (`mastodon.py`).

Jetstream stores some days of events: it is asked for a little more than was missed, and if it does
not repeat the last event that was seen, there may be a gap. Mastodon stores nothing: the statuses
of a gap are fetched from the timeline, but nobody reports what was edited or deleted meanwhile, so
the gap is reported all the same. Neither is asked to compress.

Not here: what a message means (`sources/`), and reconnecting (`follow.py`).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from rookery.core.errors import UsageError
from rookery.posts.event import Event
from rookery.posts.post import Post
from rookery.posts.streams.inbox import StreamMessage

MOST_BYTES = 1 << 20
"""A larger message is set aside; a post has a few kilobytes."""
SILENCE_SECONDS = 60  # both kinds of servers give a sign of life every half a minute at most


class Disconnected(Exception):
    """A connection that ended or could not be opened, and is worth trying again.

    after_seconds: how long to wait before that at least.
    """

    def __init__(self, why: str, after_seconds: float = 0.0):
        super().__init__(why)
        self.why = why
        self.after_seconds = after_seconds


class Stream(Protocol):
    """A live stream."""

    @property
    def name(self) -> str:
        """Return its address, by which the live log's file names it."""

    def messages(self, position: str | None) -> Iterator[StreamMessage]:
        """Yield messages from a position on; None is the present.

        Raises `Disconnected` at the end, and `UsageError` if trying again is of no use.
        """


def posts_and_events(found: list[Post | Event]) -> tuple[tuple[Post, ...], tuple[Event, ...]]:
    """Return the posts and the events of a list of both."""
    return tuple(f for f in found if isinstance(f, Post)), tuple(
        f for f in found if isinstance(f, Event)
    )


def parse_object(message: str | bytes) -> dict[str, Any] | None:
    """Return the JSON object that a message is, or None if it is none."""
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def refuse_status(where: str, status: int, headers: Mapping[str, str]) -> None:
    """Raise the error for a server's refusal.

    It is `Disconnected` for a server that is overloaded or in trouble, which may answer later, and
    `UsageError` for anything else, which a person has to correct.
    """
    if status in (408, 425, 429) or status >= 500:
        after = headers.get("Retry-After", "0")
        raise Disconnected(
            f"the server answered {status}", float(after) if after.isdigit() else 0.0
        )
    hint = "Give --token-file" if status in (401, 403) else "Check the address"
    raise UsageError(f"the server answered {status}", where=where, hint=hint)


def reason_of(error: Exception) -> str:
    """Return the text of an error, or its class if it has none."""
    return str(error) or type(error).__name__
