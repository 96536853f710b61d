"""A Mastodon server's public statuses over server-sent events.

Not here: what a status means (`sources/mastodon.py`) and reconnecting (`follow.py`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import httpx
import httpx_sse

from rookery.core.context import Clock
from rookery.core.errors import UsageError
from rookery.posts.sources import mastodon
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

PAGE_STATUSES = 40


@dataclass(frozen=True)
class Mastodon:
    """Public statuses of a server at `https://HOST`, or the full address of its streaming API."""

    name: str
    clock: Clock
    token: str | None = field(default=None, repr=False)

    def messages(self, position: str | None) -> Iterator[StreamMessage]:
        """Yield messages from a position on, as `Stream` has it."""
        parts = urlsplit(self.name)
        path = parts.path if parts.path.strip("/") else "/api/v1/streaming/public"
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            with (
                httpx.Client(
                    headers=headers, timeout=httpx.Timeout(SILENCE_SECONDS, connect=10)
                ) as client,
                httpx_sse.connect_sse(
                    client, "GET", urlunsplit((*parts[:2], path, parts.query, ""))
                ) as source,
            ):
                _check_status(self.name, source.response)
                if position is not None:
                    yield from self._missed(client, position)
                for message in source.iter_sse():
                    yield self.message(message.event, message.data)
                raise Disconnected("the server ended the stream")
        except (httpx.HTTPError, httpx_sse.SSEError) as error:
            raise Disconnected(reason_of(error)) from None
        except httpx.InvalidURL as error:
            raise UsageError("no stream's address", where=self.name, hint=str(error)) from None

    def _missed(self, client: httpx.Client, position: str) -> Iterator[StreamMessage]:
        """Yield the statuses since a position, oldest first, and a gap for that time.

        The timeline does not report what was edited or deleted in it.
        """
        parts = urlsplit(self.name)
        until, since, last = self.clock.now().isoformat(), "", position
        while True:
            query = urlencode({"min_id": last, "limit": PAGE_STATUSES})
            page = client.get(urlunsplit((*parts[:2], "/api/v1/timelines/public", query, "")))
            _check_status(self.name, page)
            statuses, before = _list(page), last
            for status in reversed(statuses):
                found = self._status(status)
                since = since or (found.time.isoformat() if found.time else "")
                last = found.position or last
                yield found
            if len(statuses) < PAGE_STATUSES or last == before:
                break
        why = "edits and deletions of this time were not told; new posts were fetched"
        yield StreamMessage(gap=Gap(self.name, since, until, why))

    def message(self, kind: str, data: str) -> StreamMessage:
        """Return the content of one message.

        It is a new status, an edited one, or the server's id of a deleted one.
        """
        if len(data) > MOST_BYTES:
            return StreamMessage(set_aside="too_large")
        if kind == "delete":
            return StreamMessage(deleted=(data.strip(),))
        if kind not in ("update", "status.update"):
            return StreamMessage(set_aside=f"{kind or 'unnamed'}_event")
        status = parse_object(data)
        if status is None:
            return StreamMessage(set_aside="not_a_json_object")
        found = self._status(status)
        # the id of an edited status is an old one, and not where reading resumes
        return found if kind == "update" else replace(found, position=None)

    def _status(self, status: Mapping[str, Any]) -> StreamMessage:
        found, local = mastodon.outcome(status), str(status.get("id") or "")
        position = local if local.isdigit() else None
        if isinstance(found, str):
            return StreamMessage(set_aside=found, position=position)
        posts, events = posts_and_events(found)
        return StreamMessage(
            posts, events, None, position, posts[0].created, ((local, posts[0].id),)
        )


def _list(page: httpx.Response) -> list[dict[str, Any]]:
    """Return the objects of a page, newest first."""
    try:
        value = page.json()
    except ValueError:
        raise Disconnected("the server's timeline is not JSON") from None
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _check_status(where: str, response: httpx.Response) -> None:
    if response.status_code != 200:
        refuse_status(where, response.status_code, response.headers)
