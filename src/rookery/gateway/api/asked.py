"""What the search APIs share: filters put into a query, a search in a thread, JSON written fast.

Every API has its own words for the same search. Here they become one query, whose language is
`search/query.py`. Not here: the forms of the answers (`search.py`, `bluesky.py`, `mastodon.py`).
"""

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from anyio.to_thread import run_sync as in_thread
from fastapi import HTTPException, Request
from fastapi.responses import Response

from rookery.core.errors import RookeryError, UsageError
from rookery.gateway.parts import Parts

if TYPE_CHECKING:
    from rookery.search.search import Mode, Results

T = TypeVar("T")

MOST_RESULTS = 100
_BARE = re.compile(r"[^\s\"“”()]+")
_OR = re.compile(r"\bOR\b|\|")


def filtered(text: str, filters: Iterable[tuple[str, str | None]]) -> str:
    """Return a query for what matches a text and all filters, each an operator and its value.

    The filters come first, so that none is dropped for the text's length. The last stands twice
    where a loose OR in the text may take its second one for an alternative. Raises `UsageError` for
    a value that could not be one of an operator.

    >>> filtered("tram late", [("from:", "ada"), ("lang:", None), ("#", "rooks")])
    'from:ada #rooks tram late'
    >>> filtered("OR tram", [("from:", "ada")])
    'from:ada from:ada OR tram'
    """
    words = [operator + _bare(operator, value) for operator, value in filters if value is not None]
    guard = words[-1:] if _OR.search(text) else []
    return " ".join([*words, *guard, text.strip()]).strip()


def _bare(operator: str, value: str) -> str:
    if not _BARE.fullmatch(value):
        raise UsageError(
            f"{value!r} is no value", where=operator, hint="Give one without blanks and brackets"
        )
    return value


def zone_named(name: str | None) -> tzinfo:
    """Return the time zone of a name such as `Europe/Berlin`; raise `UsageError` if there is none.

    Without a name it is UTC.
    """
    if not name or name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        raise UsageError(
            f"{name[:64]!r} is no time zone", hint="Name one as in Europe/Berlin"
        ) from None


async def searched(
    parts: Parts, text: str, mode: "Mode", cursor: str | None = None, **options: Any
) -> "Results":
    """Return a page of results, made in a thread; an error becomes a status and its line."""
    return await answered(lambda: parts.search(text, mode, cursor, **options))


async def answered(make: Callable[[], T]) -> T:
    """Return what a search makes in a thread; an error becomes a status and its line."""
    try:
        return await in_thread(make)
    except UsageError as error:
        raise HTTPException(400, error.line()) from None
    except RookeryError as error:
        raise HTTPException(503, error.line()) from None


def refuse_other_readers(request: Request, reader: str | None) -> None:
    """Raise 403 if a stranger asks as somebody: what a reader blocked is nobody else's business."""
    if reader is not None and not request.state.operator:
        raise HTTPException(403, "Only the operator may ask as a reader")


def json_response(value: Any) -> Response:
    """Return plain values as JSON that nobody keeps, since a post may be hidden at any moment."""
    return Response(
        json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"),
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )


def moment(at: datetime) -> str:
    """Return a moment in UTC as both networks write it.

    >>> moment(datetime(2026, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC))
    '2026-03-04T05:06:07.089Z'
    """
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
