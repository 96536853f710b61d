"""Mastodon's search API: `GET /api/v2/search`, and `/api/v1/instance`, which its clients ask first.

As on Mastodon, statuses come newest first and are turned by `offset` or by `max_id`; accounts and
hashtags are those that complete what was typed, where a home offers that. The ids are those of
`names.py`. An account's numbers of followers and the like are not known here, and are 0.
"""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from anyio.to_thread import run_sync as in_thread
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response

from rookery.core.errors import UsageError
from rookery.gateway.api.asked import filtered, json_response, moment, searched
from rookery.gateway.api.names import (
    account_id,
    author_of_account,
    moment_of_status,
    status_id,
)
from rookery.gateway.parts import Parts
from rookery.version import __version__

if TYPE_CHECKING:
    from rookery.search.hits import Hit

MOST_STATUSES = 40
MOST_OFFSET = 400
"""Beyond this a client turns pages by `max_id`, which costs the same on every page."""

_SPEAKS = "4.2.0"  # the version of Mastodon whose search this is
_NEVER = "1970-01-01T00:00:00.000Z"
_AUTHOR = "from:"


def mastodon_routes(parts: Parts) -> APIRouter:
    """Return the routes of Mastodon's search."""
    routes = APIRouter()

    @routes.get("/api/v2/search", response_class=Response)
    async def search(
        request: Request,
        q: str,
        type: Literal["statuses", "accounts", "hashtags"] | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST_STATUSES)] = 20,
        offset: Annotated[int, Query(ge=0, le=MOST_OFFSET)] = 0,
        min_id: Annotated[int | None, Query(ge=0)] = None,
        max_id: Annotated[int | None, Query(ge=0)] = None,
        account_id: str | None = None,
    ) -> Response:
        """Search the posts, with the parameters of Mastodon."""
        found: dict[str, list[dict[str, Any]]] = {"accounts": [], "statuses": [], "hashtags": []}
        if type in (None, "statuses") and (type or not offset):  # an offset needs a type
            try:
                text = _query(q, min_id, max_id, account_id)
            except (UsageError, OverflowError) as error:
                what = error.line() if isinstance(error, UsageError) else "There is no such id"
                raise HTTPException(400, what) from None
            hits = await _statuses(parts, text, min_id, max_id, offset + limit)
            found["statuses"] = [status(hit) for hit in hits[offset:]]
        if type != "statuses":
            completed = await in_thread(_completed, parts, q)
            base = str(request.base_url)
            names = [w.removeprefix(_AUTHOR).strip('"') for w in completed if w.startswith(_AUTHOR)]
            tags = [w[1:] for w in completed if w.startswith("#")]
            if type != "hashtags":
                found["accounts"] = [account(name) for name in names[offset : offset + limit]]
            if type != "accounts":
                found["hashtags"] = [hashtag(tag, base) for tag in tags[offset : offset + limit]]
        return json_response(found)

    @routes.get("/api/v1/instance", response_class=Response)
    async def instance(request: Request) -> Response:
        """Tell clients of Mastodon which version of its API they meet."""
        return json_response(
            {
                "uri": request.url.hostname,
                "title": "Rookery",
                "description": "Search only",
                "short_description": "Search only",
                "version": f"{_SPEAKS} (compatible; Rookery {__version__})",
            }
        )

    return routes


def _query(q: str, min_id: int | None, max_id: int | None, account: str | None) -> str:
    """Return the query for a text within the bounds; ids bound it by their moments."""
    author = None
    if account is not None:
        author = author_of_account(account)
        if author is None:
            raise UsageError(f"there is no account {account[:64]!r}")
    since = None if min_id is None else moment(moment_of_status(min_id))
    until = None if max_id is None else moment(moment_of_status(max_id + (1 << 16)))
    return filtered(q, [(_AUTHOR, author), ("since:", since), ("until:", until)])


async def _statuses(
    parts: Parts, text: str, min_id: int | None, max_id: int | None, wanted: int
) -> "list[Hit]":
    """Return the newest posts whose numbers lie between two others."""
    hits: list[Hit] = []
    cursor = None
    while len(hits) < wanted:
        results = await searched(parts, text, "latest", cursor, limit=wanted)
        for hit in results.hits:
            number = status_id(hit.id, hit.created)
            if (min_id is None or number > min_id) and (max_id is None or number < max_id):
                hits.append(hit)
        cursor = results.cursor
        if cursor is None:
            break
    return hits[:wanted]


def _completed(parts: Parts, q: str) -> Sequence[str]:
    return parts.suggest(q.strip()) if parts.suggest is not None and q.strip() else ()


def status(hit: "Hit") -> dict[str, Any]:
    """Return a post as a `Status`."""
    address = hit.id if hit.id.startswith(("https://", "http://")) else None
    return {
        "id": str(status_id(hit.id, hit.created)),
        "uri": hit.id,
        "url": address,
        "created_at": moment(hit.created),
        "account": account(hit.author),
        "content": content(hit.text),
        "visibility": "public",
        "sensitive": hit.sensitive,
        "spoiler_text": "",
        "language": hit.language,
        "replies_count": hit.replies or 0,
        "reblogs_count": hit.reposts or 0,
        "favourites_count": hit.likes or 0,
        "in_reply_to_id": None,
        "in_reply_to_account_id": None,
        "reblog": None,
        "edited_at": None,
        "poll": None,
        "card": None,
        "media_attachments": [],
        "mentions": [],
        "tags": [],
        "emojis": [],
    }


def content(text: str) -> str:
    """Return a text as HTML in which nothing is markup but paragraphs and line breaks.

    >>> content("a <b>\\nc\\n\\nd")
    '<p>a &lt;b&gt;<br>c</p><p>d</p>'
    """
    paragraphs = html.escape(text, quote=False).split("\n\n")
    return "".join(f"<p>{part.replace(chr(10), '<br>')}</p>" for part in paragraphs)


def account(author: str) -> dict[str, Any]:
    """Return an author as an `Account`."""
    is_address = author.startswith(("https://", "http://"))
    name, host = _name_and_host(author) if is_address else (author.lstrip("@"), "")
    return {
        "id": account_id(author),
        "username": name,
        "acct": f"{name}@{host}" if host else name,
        "display_name": author if not is_address else name,
        "url": author if is_address else "",
        "uri": author,
        "created_at": _NEVER,
        "note": "",
        "avatar": "",
        "avatar_static": "",
        "header": "",
        "header_static": "",
        "locked": False,
        "bot": False,
        "group": False,
        "discoverable": True,
        "followers_count": 0,
        "following_count": 0,
        "statuses_count": 0,
        "last_status_at": None,
        "fields": [],
        "emojis": [],
    }


def _name_and_host(address: str) -> tuple[str, str]:
    """Return the name and the host of an author whose name is an address.

    >>> _name_and_host("https://rooks.example/users/ada")
    ('ada', 'rooks.example')
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return address, ""
    return parts.path.rstrip("/").rpartition("/")[2].lstrip("@"), parts.netloc


def hashtag(tag: str, base: str) -> dict[str, Any]:
    """Return a tag as a `Tag`, with the address of its search here."""
    return {"id": tag, "name": tag, "url": f"{base}?q=%23{quote(tag, safe='')}", "history": []}
