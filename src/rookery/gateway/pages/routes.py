"""The pages: search with one promoted post, its answer, the page of a post, and suggestions.

The posts come first: the page is sent as soon as they are found, and its script then asks for the
answer, which is a page of its own for whoever runs no script. Each part may fail by itself: search
then shows the error in its place, an answer or an ad is left out, and the rest is served. Each is
made in a thread, one after the other, so that nothing more is made for a reader who has left. What
the address says is all that a page depends on, but for the ad. The templates are in `templates/`,
the routes of ads in `ads.py`; errors of other kinds are answered in `errors.py`.
"""

import functools
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, TypeVar

from anyio.to_thread import run_sync as in_thread
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from rookery.core.errors import RookeryError, UsageError
from rookery.core.protocols import SeededGenerator
from rookery.gateway.api.asked import json_response, zone_named
from rookery.gateway.pages.ads import VIEWER, device_of, offer, viewer_of
from rookery.gateway.pages.render import render, render_error
from rookery.gateway.parts import Parts
from rookery.workflows.models import sample_of

if TYPE_CHECKING:
    from rookery.search.search import Mode, Results

log = logging.getLogger("rookery.gateway")
T = TypeVar("T")

LONGEST_QUERY = 500  # of the box, of answers and of ads; how much a search reads is its own rule
LONGEST_PREFIX = 60
MOST_SUGGESTIONS = 8


@dataclass(frozen=True)
class _Asked:
    """What the address of a search page says."""

    text: str
    mode: "Mode"
    cursor: str | None
    zone_name: str
    zone: tzinfo

    @property
    def query(self) -> str:
        return self.text[:LONGEST_QUERY]


def page_routes(parts: Parts, new_id: Callable[[], str]) -> APIRouter:
    """Return the routes for people.

    new_id: names a viewer who has no name yet.
    """
    routes = APIRouter(include_in_schema=False)
    # written once, for the first reader of the start page; the untrained twin has nothing to show
    is_trained = not isinstance(parts.generator, SeededGenerator)
    written = functools.cache(lambda: sample_of(parts.generator) if is_trained else "")

    def shared(request: Request, asked: _Asked) -> dict[str, Any]:
        return {
            "query": asked.query,
            "text": asked.text,
            "mode": asked.mode,
            "zone": asked.zone,
            "zone_name": asked.zone_name,
            "model": parts.generator.name,
            "suggests": parts.suggest is not None,
            "is_operator": request.state.operator,
        }

    @routes.get("/")
    async def search_page(
        request: Request, q: str = "", mode: str = "best", cursor: str = "", zone: str = ""
    ) -> HTMLResponse:
        """Show the search box, and below it the results."""
        asked = _asked(q, mode, cursor, zone)
        if not asked.query:
            return await start_page(request, asked)
        known = viewer_of(request)
        viewer = known or new_id()
        found, problem, status = await in_thread(_found, parts, asked)
        ad = other = lag = None
        if not problem:
            lag = await in_thread(_or_none, "the lag", parts.lag)
            language = _language(request)
            device = device_of(request)
            made = functools.partial(offer, parts, asked.query, language, viewer, device)
            ad = await in_thread(_or_none, "the ad", made)
        if found and asked.cursor is None and parts.correct is not None:
            correct = functools.partial(parts.correct, asked.query)
            other = await in_thread(_or_none, "another spelling", correct)
        filled = functools.partial(
            render,
            "search.html",
            status,
            title=f"{asked.query} · Rookery",
            found=found,
            problem=problem,
            other=other,
            lag=lag,
            cursor=asked.cursor,
            asks=bool(found) and asked.cursor is None and parts.asks(asked.query),
            ad=ad,
            **shared(request, asked),
        )
        page = await in_thread(filled)
        if ad is not None and known is None:
            page.set_cookie(
                VIEWER, viewer, httponly=True, samesite="lax", secure=request.url.scheme == "https"
            )
        page.headers["cache-control"] = "no-store"
        return page

    async def start_page(request: Request, asked: _Asked) -> HTMLResponse:
        sample = await in_thread(_or_none, "the model's sample", written)
        trends = None
        if parts.trends is not None:
            trends = await in_thread(_or_none, "the trends", parts.trends)
        return render(
            "start.html", title="Rookery", sample=sample, trends=trends, **shared(request, asked)
        )

    @routes.get("/answer")
    async def answer_page(request: Request, q: str = "", zone: str = "") -> HTMLResponse:
        """Show the answer to a question; the search page takes it over."""
        asked = _asked(q, "best", "", zone)
        answer = None
        if asked.query:
            make = functools.partial(parts.answer, asked.query)
            answer = await in_thread(_or_none, "the answer", make)
        page = render(
            "answer.html",
            title=f"{asked.query} · Rookery",
            answer=answer,
            **shared(request, asked),
        )
        page.headers["cache-control"] = "no-store"
        return page

    @routes.get("/posts/{post_id:path}")
    async def post_page(
        request: Request, post_id: str, q: str = "", zone: str = ""
    ) -> HTMLResponse:
        """Show one post with its conversation and its copies."""
        asked = _asked(q, "best", "", zone)
        try:
            made = await in_thread(parts.post, post_id, asked.query or None)
        except RookeryError as error:
            return render_error(503, error.line())
        if made is None:
            return render_error(404, "There is no such post here.")
        author = made.hit.author
        page = render("post.html", title=f"{author} · Rookery", page=made, **shared(request, asked))
        page.headers["cache-control"] = "no-store"
        return page

    @routes.get("/suggest")
    async def suggest(q: str = "") -> Response:
        """Return what completes the beginning of a word, as JSON."""
        if parts.suggest is None or not q.strip():
            return json_response({"suggestions": []})
        complete = functools.partial(parts.suggest, q.strip()[:LONGEST_PREFIX])
        found = await in_thread(_or_none, "suggestions", complete)
        return json_response({"suggestions": list(found or ())[:MOST_SUGGESTIONS]})

    return routes


def _asked(q: str, mode: str, cursor: str, zone: str) -> _Asked:
    """Return what an address says; raise 400 for a zone that is none."""
    order: Mode = "latest" if mode == "latest" else "best"
    try:
        return _Asked(" ".join(q.split()), order, cursor or None, zone, zone_named(zone))
    except UsageError as error:
        raise HTTPException(400, error.line()) from None


def _found(parts: Parts, asked: _Asked) -> "tuple[Results | None, str | None, int]":
    """Return the results or an error in words, and the HTTP status of the page."""
    try:
        return parts.search(asked.text, asked.mode, asked.cursor, zone=asked.zone), None, 200
    except UsageError as error:
        return None, error.line(), 400
    except RookeryError as error:
        return None, error.line(), 503
    except Exception:
        log.exception("search failed")
        return None, "Search does not work at the moment. Please try again later.", 503


def _or_none(what: str, make: Callable[[], T]) -> T | None:
    """Return what `make` returns; log an error and return None, as the page can do without."""
    try:
        return make()
    except Exception:
        log.exception("%s failed", what)
        return None


def _language(request: Request) -> str | None:
    """Return the language that the browser asks for first, such as `en`, or None."""
    first = re.match(r"\s*([A-Za-z]{2,3})\b", request.headers.get("accept-language", ""))
    return first.group(1).lower() if first else None
