"""The live streams that can be followed: Jetstream over WebSocket, Mastodon over server-sent events.

A stream is opened at a position and yields `Moment`s until the connection ends. Its position is the
time (µs) of an event at Jetstream, and the server's own id of a status at Mastodon. What a message means
is for the source's own module (`jetstream.py`, `mastodon.py`); reconnecting and keeping are `follow.py`'s.

Jetstream keeps some days of events: it is asked for a little more than was missed, and if it does not
repeat the last event that was seen, there may be a gap. Mastodon keeps nothing: the statuses of a gap
are fetched from the timeline, but what was edited or deleted meanwhile nobody tells, so the gap is
reported all the same. Neither's compression is asked for.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import httpx_sse
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.sync.client import connect

from rookery.core.context import Clock
from rookery.core.errors import UsageError
from rookery.posts import atproto, jetstream, mastodon
from rookery.posts.arrivals import Gap, Moment
from rookery.posts.live import Event
from rookery.posts.post import Post

MOST_BYTES = 1 << 20
"""A larger message is set aside; posts are of a few kilobytes."""
LARGEST_FRAME_BYTES = 64 << 20  # beyond, the connection ends and the message is passed over
TOO_BIG = 1009  # RFC 6455, 7.4.1
SILENCE_SECONDS = 60  # both kinds of servers give a sign of life every half a minute at most
OVERLAP_MICROSECONDS = 2_000_000
CLOCK_TOLERANCE = timedelta(days=1)
PAGE_STATUSES = 40


class Disconnected(Exception):
    """The connection ended or could not be made; it is worth trying again, at the earliest after so many seconds."""

    def __init__(self, why: str, after_seconds: float = 0.0):
        super().__init__(why)
        self.why = why
        self.after_seconds = after_seconds


class Stream(Protocol):
    """A live stream. `name` is its address, as it is named in the log."""

    name: str

    def moments(self, position: str | None) -> Iterator[Moment]:
        """Messages from a position on; raises `Disconnected` at the end, `UsageError` where trying again is no use."""


def open_stream(url: str, clock: Clock, token: str | None = None) -> Stream:
    """The stream at an address; raises `UsageError` for an address of neither kind."""
    parts = urlsplit(url)
    if parts.netloc and parts.scheme in ("ws", "wss"):
        return Jetstream(url, clock)
    if parts.netloc and parts.scheme in ("http", "https"):
        return Mastodon(url, clock, token)
    raise UsageError("no stream's address", where=url, mend="Give wss://… (Jetstream) or https://… (Mastodon)")


@dataclass(frozen=True)
class Jetstream:
    """Events of an AT-proto network: `wss://HOST[/subscribe]`, its own parameters kept."""

    name: str
    clock: Clock

    def address(self, position: str | None) -> str:
        """The address to connect to, with the collections that say something to us unless others are named."""
        parts = urlsplit(self.name)
        asked = [(key, value) for key, value in parse_qsl(parts.query) if key != "cursor"]
        if not any(key == "wantedCollections" for key, _ in asked):
            collections = (atproto.POST, atproto.PROFILE, atproto.PREFERENCES, *atproto.INTENTS)
            asked += [("wantedCollections", collection) for collection in collections]
        if position is not None:
            asked.append(("cursor", str(int(position) - OVERLAP_MICROSECONDS)))
        path = parts.path if parts.path.strip("/") else "/subscribe"
        return urlunsplit((parts.scheme, parts.netloc, path, urlencode(asked), ""))

    def moments(self, position: str | None) -> Iterator[Moment]:
        last = int(position) if position else None
        try:
            try:
                yield from self._read(self.address(position), last)
            except InvalidStatus as error:
                if last is None or error.response.status_code != 400:
                    raise
                yield from self._read(self.address(None), last)  # it does not have our place any more
        except InvalidStatus as error:
            _refused(self.name, error.response.status_code, error.response.headers)
        except InvalidURI as error:
            raise UsageError("no stream's address", where=self.name, mend=str(error)) from None
        except ConnectionClosed as error:
            if error.sent is not None and error.sent.code == TOO_BIG:  # passed over, or it would come for ever
                now = self.clock.now()
                gap = Gap(self.name, "", now.isoformat(), "a message was too large to be read")
                yield Moment(gap=gap, set_aside="too_large", position=str(int(now.timestamp() * 1_000_000)))
            raise Disconnected("the server closed the connection") from None
        except (OSError, WebSocketException) as error:
            raise Disconnected(_reason(error)) from None

    def _read(self, address: str, last: int | None) -> Iterator[Moment]:
        """One connection; the first event whose time can be told shows whether there is a gap since the last one."""
        with connect(address, max_size=LARGEST_FRAME_BYTES, compression=None) as socket:
            while True:
                moment = self.moment(socket.recv(timeout=SILENCE_SECONDS))
                if last is not None and moment.position is not None:
                    came = int(moment.position)
                    moment, last = replace(moment, gap=_gap(self.name, last, came) if came > last else None), None
                yield moment

    def moment(self, message: str | bytes) -> Moment:
        """One message."""
        if len(message) > MOST_BYTES:
            return Moment(set_aside="too_large")
        value = _parsed(message)
        if value is None:
            return Moment(set_aside="not_a_json_object")
        event = jetstream.event_of(value)
        if event is None:
            return Moment(set_aside="not_an_event")
        time = event.seen if event.seen and event.seen <= self.clock.now() + CLOCK_TOLERANCE else None
        position = str(value["time_us"]) if time else None  # a wrong clock moves no cursor
        found = jetstream.outcome(event)
        if isinstance(found, str):
            return Moment(set_aside=found, position=position, time=time)
        return Moment(*_sorted_out(found), position=position, time=time)


@dataclass(frozen=True)
class Mastodon:
    """Public statuses of a server: `https://HOST` or the full address of its streaming API."""

    name: str
    clock: Clock
    token: str | None = field(default=None, repr=False)

    def moments(self, position: str | None) -> Iterator[Moment]:
        parts = urlsplit(self.name)
        path = parts.path if parts.path.strip("/") else "/api/v1/streaming/public"
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            with (
                httpx.Client(headers=headers, timeout=httpx.Timeout(SILENCE_SECONDS, connect=10)) as client,
                httpx_sse.connect_sse(client, "GET", urlunsplit((*parts[:2], path, parts.query, ""))) as source,
            ):
                _look(self.name, source.response)
                if position is not None:
                    yield from self._missed(client, position)
                for message in source.iter_sse():
                    yield self.moment(message.event, message.data)
                raise Disconnected("the server ended the stream")
        except (httpx.HTTPError, httpx_sse.SSEError) as error:
            raise Disconnected(_reason(error)) from None
        except httpx.InvalidURL as error:
            raise UsageError("no stream's address", where=self.name, mend=str(error)) from None

    def _missed(self, client: httpx.Client, position: str) -> Iterator[Moment]:
        """The statuses since a position, oldest first, and the gap for what cannot be told of that time."""
        parts = urlsplit(self.name)
        until, since, last = self.clock.now().isoformat(), "", position
        while True:
            query = urlencode({"min_id": last, "limit": PAGE_STATUSES})
            page = client.get(urlunsplit((*parts[:2], "/api/v1/timelines/public", query, "")))
            _look(self.name, page)
            statuses, before = _list(page), last
            for status in reversed(statuses):
                moment = self._status(status)
                since = since or (moment.time.isoformat() if moment.time else "")
                last = moment.position or last
                yield moment
            if len(statuses) < PAGE_STATUSES or last == before:
                break
        why = "edits and deletions of this time were not told; new posts were fetched"
        yield Moment(gap=Gap(self.name, since, until, why))

    def moment(self, kind: str, data: str) -> Moment:
        """One message: a new status, an edited one, or the server's id of a deleted one."""
        if len(data) > MOST_BYTES:
            return Moment(set_aside="too_large")
        if kind == "delete":
            return Moment(gone=(data.strip(),))
        if kind not in ("update", "status.update"):
            return Moment(set_aside=f"{kind or 'unnamed'}_event")
        status = _parsed(data)
        if status is None:
            return Moment(set_aside="not_a_json_object")
        moment = self._status(status)
        return moment if kind == "update" else replace(moment, position=None)

    def _status(self, status: Mapping[str, Any]) -> Moment:
        found, local = mastodon.outcome(status), str(status.get("id") or "")
        position = local if local.isdigit() else None
        if isinstance(found, str):
            return Moment(set_aside=found, position=position)
        posts, events = _sorted_out(found)
        return Moment(posts, events, None, position, posts[0].created, ((local, posts[0].id),))


def _sorted_out(found: list[Post | Event]) -> tuple[tuple[Post, ...], tuple[Event, ...]]:
    return tuple(f for f in found if isinstance(f, Post)), tuple(f for f in found if isinstance(f, Event))


def _parsed(message: str | bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _list(page: httpx.Response) -> list[dict[str, Any]]:
    """The objects of a page, newest first."""
    try:
        value = page.json()
    except ValueError:
        raise Disconnected("the server's timeline is no JSON") from None
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _gap(stream: str, last: int, came: int) -> Gap:
    """Between two times in microseconds."""
    since, until = (datetime.fromtimestamp(us / 1_000_000, UTC).isoformat() for us in (last, came))
    return Gap(stream, since, until, "the server did not repeat the last event")


def _look(where: str, response: httpx.Response) -> None:
    if response.status_code != 200:
        _refused(where, response.status_code, response.headers)


def _refused(where: str, status: int, headers: Mapping[str, str]) -> None:
    """Too much asked, or a server in trouble: later. Anything else a person has to mend."""
    if status in (408, 425, 429) or status >= 500:
        after = headers.get("Retry-After", "0")
        raise Disconnected(f"the server answered {status}", float(after) if after.isdigit() else 0.0)
    mend = "Give --token-file" if status in (401, 403) else "See that the address is right"
    raise UsageError(f"the server answered {status}", where=where, mend=mend)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
