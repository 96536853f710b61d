"""Jetstream over WebSocket: the events of an AT-proto network as they happen."""

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

LARGEST_FRAME_BYTES = 64 << 20  # beyond, the connection ends and the message is passed over
TOO_BIG = 1009  # RFC 6455, 7.4.1
OVERLAP_MICROSECONDS = 2_000_000
CLOCK_TOLERANCE = timedelta(days=1)


@dataclass(frozen=True)
class Jetstream:
    """Events of an AT-proto network: `wss://HOST[/subscribe]`, its own parameters kept."""

    name: str
    clock: Clock

    def address(self, position: str | None) -> str:
        """The address to connect to, with the collections that say something to us unless others
        are named.
        """
        parts = urlsplit(self.name)
        asked = [(key, value) for key, value in parse_qsl(parts.query) if key != "cursor"]
        if not any(key == "wantedCollections" for key, _ in asked):
            collections = (atproto.POST, atproto.PROFILE, atproto.PREFERENCES, *atproto.INTENTS)
            asked += [("wantedCollections", collection) for collection in collections]
        if position is not None:
            asked.append(("cursor", str(int(position) - OVERLAP_MICROSECONDS)))
        path = parts.path if parts.path.strip("/") else "/subscribe"
        return urlunsplit((parts.scheme, parts.netloc, path, urlencode(asked), ""))

    def moments(self, position: str | None) -> Iterator[StreamMessage]:
        last = int(position) if position else None
        try:
            try:
                yield from self._read(self.address(position), last)
            except InvalidStatus as error:
                if last is None or error.response.status_code != 400:
                    raise
                yield from self._read(
                    self.address(None), last
                )  # it does not have our place any more
        except InvalidStatus as error:
            refuse_status(self.name, error.response.status_code, error.response.headers)
        except InvalidURI as error:
            raise UsageError("no stream's address", where=self.name, hint=str(error)) from None
        except ConnectionClosed as error:
            if (
                error.sent is not None and error.sent.code == TOO_BIG
            ):  # passed over, or it would come for ever
                now = self.clock.now()
                gap = Gap(self.name, "", now.isoformat(), "a message was too large to be read")
                yield StreamMessage(
                    gap=gap, set_aside="too_large", position=str(int(now.timestamp() * 1_000_000))
                )
            raise Disconnected("the server closed the connection") from None
        except (OSError, WebSocketException) as error:
            raise Disconnected(reason_of(error)) from None

    def _read(self, address: str, last: int | None) -> Iterator[StreamMessage]:
        """One connection; the first event whose time can be told shows whether there is a gap since
        the last one.
        """
        with connect(address, max_size=LARGEST_FRAME_BYTES, compression=None) as socket:
            while True:
                moment = self.moment(socket.recv(timeout=SILENCE_SECONDS))
                if last is not None and moment.position is not None:
                    came = int(moment.position)
                    moment, last = (
                        replace(moment, gap=_gap(self.name, last, came) if came > last else None),
                        None,
                    )
                yield moment

    def moment(self, message: str | bytes) -> StreamMessage:
        """One message."""
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
        position = str(value["time_us"]) if time else None  # a wrong clock moves no cursor
        found = jetstream.outcome(event)
        if isinstance(found, str):
            return StreamMessage(set_aside=found, position=position, time=time)
        return StreamMessage(*posts_and_events(found), position=position, time=time)


def _gap(stream: str, last: int, came: int) -> Gap:
    """Between two times in microseconds."""
    since, until = (datetime.fromtimestamp(us / 1_000_000, UTC).isoformat() for us in (last, came))
    return Gap(stream, since, until, "the server did not repeat the last event")
