"""Opening the stream at an address: the scheme tells Jetstream from Mastodon.

Not here: connecting, which happens when the stream is read (`jetstream.py`, `mastodon.py`).
"""

from urllib.parse import urlsplit

from rookery.core.context import Clock
from rookery.core.errors import UsageError
from rookery.posts.streams.connection import Stream
from rookery.posts.streams.jetstream import Jetstream
from rookery.posts.streams.mastodon import Mastodon


def open_stream(url: str, clock: Clock, token: str | None = None) -> Stream:
    """Return the stream at an address.

    token: a Mastodon server's access token. Raises `UsageError` for an address of neither kind.
    """
    parts = urlsplit(url)
    if parts.netloc and parts.scheme in ("ws", "wss"):
        return Jetstream(url, clock)
    if parts.netloc and parts.scheme in ("http", "https"):
        return Mastodon(url, clock, token)
    raise UsageError(
        "no stream's address", where=url, hint="Give wss://… (Jetstream) or https://… (Mastodon)"
    )
