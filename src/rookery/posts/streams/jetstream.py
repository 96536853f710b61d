"""Jetstream over WebSocket: the events of an AT-proto network as they happen.

Not here: what an event means (`sources/jetstream.py`) and reconnecting (`follow.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.sync.client import connect

from rookery.core.context import Clock
from rookery.core.errors import UsageError
from rookery.posts.sources import atproto, jetstream
from rookery.posts.streams.connection import (
    MOST_BYTES,
    SILENCE_SECONDS,
    Disconnected,
    parse_object,
    posts_and_events,
    reason_of,
    refuse_status,
)
from rookery.posts.streams.inbox import Gap, StreamMessage

LARGEST_FRAME_BYTES = 64 << 20  # a larger one ends the connection, and its message is skipped
TOO_BIG = 1009  # RFC 6455, 7.4.1
OVERLAP_MICROSECONDS = 2_000_000
CLOCK_TOLERANCE = timedelta(days=1)


@dataclass(frozen=True)
class Jetstream:
    """Events of an AT-proto network at `wss://HOST[/subscribe]`, with that address's parameters."""

    name: str
    clock: Clock

    def address(self, position: str | None) -> str:
        """Return the address to connect to.

        It asks for the collections that Rookery understands, unless the stream's name has others.
        """
        parts = urlsplit(self.name)
        query = [(key, value) for key, value in parse_qsl(parts.query) if key != "cursor"]
        if not any(key == "wantedCollections" for key, _ in query):
            collections = (atproto.POST, atproto.PROFILE, atproto.PREFERENCES, *atproto.INTENTS)
            query += [("wantedCollections", collection) for collection in collections]
        if position is not None:
            query.append(("cursor", str(int(position) - OVERLAP_MICROSECONDS)))
        path = parts.path if parts.path.strip("/") else "/subscribe"
        return urlunsplit((parts.scheme, parts.netloc, path, urlencode(query), ""))

    def messages(self, position: str | None) -> Iterator[StreamMessage]:
        """Yield messages from a position on, as `Stream` has it."""
        last = int(position) if position else None
        try:
            try:
                yield from self._read(self.address(position), last)
            except InvalidStatus as error:
                if last is None or error.response.status_code != 400:
                    raise
                # the server no longer has this position: read from the present, with a gap
                yield from self._read(self.address(None), last)
        except InvalidStatus as error:
            refuse_status(self.name, error.response.status_code, error.response.headers)
        except InvalidURI as error:
            raise UsageError("no stream's address", where=self.name, hint=str(error)) from None
        except ConnectionClosed as error:
            # skip a message that is too large: read again, it would end each connection
            if error.sent is not None and error.sent.code == TOO_BIG:
                yield self._too_big()
            raise Disconnected("the server closed the connection") from None
        except (OSError, WebSocketException) as error:
            raise Disconnected(reason_of(error)) from None

    def _too_big(self) -> StreamMessage:
        now = self.clock.now()
        gap = Gap(self.name, "", now.isoformat(), "a message was too large to be read")
        position = str(int(now.timestamp() * 1_000_000))
        return StreamMessage(gap=gap, set_aside="too_large", position=position)

    def _read(self, address: str, last: int | None) -> Iterator[StreamMessage]:
        """Yield the messages of one connection.

        The first event that has a time shows whether there is a gap since the last one, `last`.
        """
        with connect(address, max_size=LARGEST_FRAME_BYTES, compression=None) as socket:
            while True:
                found = self.message(socket.recv(timeout=SILENCE_SECONDS))
                if last is not None and found.position is not None:
                    came = int(found.position)
                    gap = _gap(self.name, last, came) if came > last else None
                    found, last = replace(found, gap=gap), None
                yield found

    def message(self, message: str | bytes) -> StreamMessage:
        """Return the content of one message."""
        if len(message) > MOST_BYTES:
            return StreamMessage(set_aside="too_large")
        value = parse_object(message)
        if value is None:
            return StreamMessage(set_aside="not_a_json_object")
        event = jetstream.event_of(value)
        if event is None:
            return StreamMessage(set_aside="not_an_event")
        time = (
            event.seen if event.seen and event.seen <= self.clock.now() + CLOCK_TOLERANCE else None
        )
        # without a time the clock was wrong, and the event moves no cursor
        position = str(value["time_us"]) if time else None
        found = jetstream.outcome(event)
        if isinstance(found, str):
            return StreamMessage(set_aside=found, position=position, time=time)
        return StreamMessage(*posts_and_events(found), position=position, time=time)


def _gap(stream: str, last: int, came: int) -> Gap:
    """Return the gap between two times in microseconds."""
    since, until = (datetime.fromtimestamp(us / 1_000_000, UTC).isoformat() for us in (last, came))
    return Gap(stream, since, until, "the server did not repeat the last event")
