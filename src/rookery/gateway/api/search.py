"""The search API of our own: `GET /v1/search`, with all that the page knows of each post."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response

from rookery.core.errors import UsageError
from rookery.gateway.api.asked import (
    MOST_RESULTS,
    answered,
    json_response,
    moment,
    refuse_other_readers,
    zone_named,
)
from rookery.gateway.parts import RESULTS, Parts

if TYPE_CHECKING:
    from rookery.search.hits import Hit
from rookery.search.search import Results

Limit = Annotated[int, Query(ge=1, le=MOST_RESULTS)]


def search_routes(parts: Parts) -> APIRouter:
    """Return the route `/v1/search`."""
    routes = APIRouter()

    @routes.get("/v1/search", response_class=Response)
    async def search(
        request: Request,
        q: str,
        mode: Literal["best", "latest"] = "best",
        limit: Limit = RESULTS,
        cursor: str | None = None,
        zone: str | None = None,
        reader: str | None = None,
    ) -> Response:
        """Search the posts; `cursor` of one page asks for the next."""
        refuse_other_readers(request, reader)
        try:
            days = zone_named(zone)
        except UsageError as error:
            raise HTTPException(400, error.line()) from None

        def made() -> dict[str, Any]:
            results = parts.search(q, mode, cursor, limit=limit, zone=days, reader=reader)
            lag = parts.lag()
            return plain_results(results) | ({} if lag is None else {"lag": lag.to_dict()})

        return json_response(await answered(made))

    return routes


def plain_results(results: "Results") -> dict[str, Any]:
    """Return results as plain values."""
    return {
        "hits": [plain_hit(hit) for hit in results.hits],
        "understood": results.understood,
        "left_out": results.left_out,
        "cursor": results.cursor,
    }


_SAME_NAMES = ("id", "author", "text", "language", "likes", "reposts", "replies", "reply_to",
               "quote_of", "conversation", "sensitive", "copies", "highlights", "score",
               "parts")  # fmt: skip


def plain_hit(hit: "Hit") -> dict[str, Any]:
    """Return a post that was found as plain values, its time in UTC."""
    return {"created": moment(hit.created), **{name: getattr(hit, name) for name in _SAME_NAMES}}
