"""The pages: search with an answer and one promoted post, views and clicks of it, the ads report.

Each part of the search page may fail by itself: search then shows the error in its place, an answer
or an ad is left out, and the rest of the page is served. Each is made in a thread, one after the
other, so that nothing more is made for a reader who has left. The page works without JavaScript;
the script only reports that the promoted post was really on the screen. The templates are in
`templates/`; errors of other kinds are answered in `errors.py`.
"""

import base64
import functools
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from anyio.to_thread import run_sync as in_thread
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rookery.ads.ledger.traffic import Visitor
from rookery.ads.server import AdRequest, Offer
from rookery.core.errors import RookeryError, UsageError
from rookery.core.protocols import SeededGenerator
from rookery.core.verdict import Drop
from rookery.gateway.pages.highlight import highlighted, query_terms
from rookery.gateway.parts import Parts
from rookery.workflows.models import sample_of

if TYPE_CHECKING:
    from rookery.search.search import Mode, Results

log = logging.getLogger("rookery.gateway")
T = TypeVar("T")

VIEWER = "rookery_viewer"
LONGEST_QUERY = 500  # of the box, of answers and of ads; how much a search reads is its own rule
_VIEWER_NAME = re.compile(r"[0-9a-f]{16,64}")
_PURPOSE_HEADERS = ("sec-purpose", "purpose", "x-purpose", "x-moz")
_TRANSPARENT_PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals["highlighted"] = highlighted


def render(name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a template, filled with the values, as a response."""
    return HTMLResponse(_templates.get_template(name).render(**values), status)


def render_error(status: int, what: str) -> HTMLResponse:
    """Return a page that states in one sentence what went wrong."""
    return render("error.html", status, title="That did not work", what=what, is_operator=False)


def page_routes(
    parts: Parts, new_id: Callable[[], str], operator_only: Callable[[Request], Any]
) -> APIRouter:
    """Return the routes for people.

    new_id: names a viewer who has no name yet. operator_only: refuses the requests of others.
    """
    routes = APIRouter(include_in_schema=False)
    # written once, for the first reader of the start page; the untrained twin has nothing to show
    is_trained = not isinstance(parts.generator, SeededGenerator)
    written = functools.cache(lambda: sample_of(parts.generator) if is_trained else "")

    @routes.get("/")
    async def search_page(request: Request, q: str = "", mode: str = "best") -> HTMLResponse:
        """Show the search box, and below it the results."""
        asked = " ".join(q.split())
        query = asked[:LONGEST_QUERY]
        order: Mode = "latest" if mode == "latest" else "best"
        shared = {
            "query": query,
            "mode": order,
            "model": parts.generator.name,
            "is_operator": request.state.operator,
        }
        if not query:
            sample = await in_thread(_or_none, "the model's sample", written)
            return render("search.html", title="Rookery", sample=sample, **shared)
        viewer = request.cookies.get(VIEWER, "")
        known = _VIEWER_NAME.fullmatch(viewer) is not None
        viewer = viewer if known else new_id()
        found, problem, status = await in_thread(_found, parts, asked, order)
        answer = ad = None
        if not problem:
            answer = await in_thread(_or_none, "the answer", lambda: parts.answer(query))
            offer = functools.partial(_offer, parts, query, _language(request), viewer)
            ad = await in_thread(_or_none, "the ad", offer)
        filled = functools.partial(
            render,
            "search.html",
            status,
            title=f"{query} · Rookery",
            found=found,
            problem=problem,
            answer=answer,
            ad=ad,
            terms=query_terms(query),
            **shared,
        )
        page = await in_thread(filled)
        if ad is not None and not known:
            page.set_cookie(
                VIEWER, viewer, httponly=True, samesite="lax", secure=request.url.scheme == "https"
            )
        page.headers["cache-control"] = "no-store"
        return page

    @routes.post("/ads/{token}/view")
    def view(token: str, request: Request) -> JSONResponse:
        """Count a view: the promoted post was on the screen."""
        verdict = parts.ads.view(token, _visitor(request))
        return JSONResponse(
            {"counted": not isinstance(verdict, Drop), "reason": getattr(verdict, "reason", None)}
        )

    @routes.get("/ads/{token}/view.gif")
    def view_without_script(token: str, request: Request) -> Response:
        """Count a view in a browser that runs no script, which loads this image instead."""
        parts.ads.view(token, _visitor(request))
        return Response(
            _TRANSPARENT_PIXEL, media_type="image/gif", headers={"cache-control": "no-store"}
        )

    @routes.api_route("/ads/{token}/click", methods=["GET", "HEAD"])
    def click(token: str, request: Request) -> Response:
        """Count the click if it is that of a viewer who saw the ad; go where the ad leads."""
        _, landing = parts.ads.click(token, _visitor(request))
        if landing is None:
            return render_error(404, "There is no such ad, or it is no longer valid.")
        if urlsplit(landing).scheme not in ("http", "https"):
            return render_error(404, "This ad leads to no web page.")
        return RedirectResponse(landing, 303, {"cache-control": "no-store"})

    @routes.get("/ads/report", dependencies=[Depends(operator_only)])
    def ads_report() -> HTMLResponse:
        """Show offers, views, clicks and spend of every campaign."""
        report = parts.report()
        columns = [
            name for row in report["campaigns"][:1] for name in row if not name.endswith("_micros")
        ]
        page = render(
            "report.html",
            title="Ads report · Rookery",
            report=report,
            columns=columns,
            is_operator=True,
        )
        page.headers["cache-control"] = "no-store"
        return page

    @routes.get("/ads/report.json", dependencies=[Depends(operator_only)])
    def ads_report_json() -> JSONResponse:
        """Return the same report for programs."""
        return JSONResponse(parts.report(), headers={"cache-control": "no-store"})

    return routes


def _found(parts: Parts, query: str, mode: "Mode") -> "tuple[Results | None, str | None, int]":
    """Return the results or an error in words, and the HTTP status of the page."""
    try:
        return parts.search(query, mode), None, 200
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


def _visitor(request: Request) -> Visitor:
    """Return the sender of a request, as the ledger judges it."""
    purposes = [request.headers.get(name, "") for name in _PURPOSE_HEADERS]
    return Visitor(
        viewer=request.cookies.get(VIEWER, ""),
        user_agent=request.headers.get("user-agent", ""),
        method=request.method,
        purpose=" ".join(purposes),
    )


def _offer(parts: Parts, query: str, language: str | None, viewer: str) -> Offer | None:
    return parts.ads.serve(AdRequest(text=query, language=language, viewer=viewer)).offer


def _language(request: Request) -> str | None:
    """Return the language that the browser asks for first, such as `en`, or None."""
    first = re.match(r"\s*([A-Za-z]{2,3})\b", request.headers.get("accept-language", ""))
    return first.group(1).lower() if first else None
