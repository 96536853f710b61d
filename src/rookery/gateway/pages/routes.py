"""The pages: search with an answer and one promoted post, views and clicks of it, the ads report.

Each part of the search page may fail by itself: search then shows the error in its place, an answer
or an ad is left out, and the rest of the page is served. The page works without JavaScript; the
script only reports that the promoted post was really on the screen. The templates are in
`templates/`; errors of other kinds are answered in `app.py`.
"""

import base64
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rookery.ads.server import AdRequest, Offer
from rookery.core.errors import RookeryError, UsageError
from rookery.core.verdict import Drop
from rookery.gateway.pages.highlight import highlighted, query_terms
from rookery.gateway.parts import Parts

if TYPE_CHECKING:
    from rookery.search.search import Mode, Results

log = logging.getLogger("rookery.gateway")
T = TypeVar("T")

VIEWER = "rookery_viewer"
LONGEST_QUERY = 500
_VIEWER_NAME = re.compile(r"[0-9a-f]{16,64}")
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
    return render("error.html", status, title="That did not work", what=what)


def page_routes(parts: Parts, new_id: Callable[[], str]) -> APIRouter:
    """Return the routes for people; `new_id` names a viewer who has no name yet."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    def search_page(request: Request, q: str = "", mode: str = "best") -> HTMLResponse:
        """Show the search box, and below it the results."""
        query = " ".join(q.split())[:LONGEST_QUERY]
        order: Mode = "latest" if mode == "latest" else "best"
        if not query:
            return render(
                "search.html", query="", mode=order, model=parts.generator.name, title="Rookery"
            )
        viewer = request.cookies.get(VIEWER, "")
        known = _VIEWER_NAME.fullmatch(viewer) is not None
        viewer = viewer if known else new_id()
        found, problem, status = _found(parts, query, order)
        answer = None if problem else _or_none("the answer", lambda: parts.answer(query))
        ad = (
            None
            if problem
            else _or_none("the ad", lambda: _offer(parts, query, _language(request), viewer))
        )
        page = render(
            "search.html",
            status,
            title=f"{query} · Rookery",
            query=query,
            mode=order,
            model=parts.generator.name,
            found=found,
            problem=problem,
            answer=answer,
            ad=ad,
            terms=query_terms(query),
        )
        if ad is not None and not known:
            page.set_cookie(
                VIEWER, viewer, httponly=True, samesite="lax", secure=request.url.scheme == "https"
            )
        page.headers["cache-control"] = "no-store"
        return page

    @routes.post("/ads/{token}/view")
    def view(token: str) -> JSONResponse:
        """Count a view: the promoted post was on the screen."""
        verdict = parts.ads.view(token)
        return JSONResponse(
            {"counted": not isinstance(verdict, Drop), "reason": getattr(verdict, "reason", None)}
        )

    @routes.get("/ads/{token}/view.gif")
    def view_without_script(token: str) -> Response:
        """Count a view in a browser that runs no script, which loads this image instead."""
        parts.ads.view(token)
        return Response(
            _TRANSPARENT_PIXEL, media_type="image/gif", headers={"cache-control": "no-store"}
        )

    @routes.get("/ads/{token}/click")
    def click(token: str) -> Response:
        """Count the click, and a view since who clicks has seen the ad; go where the ad leads."""
        parts.ads.view(token)
        _, landing = parts.ads.click(token)
        if landing is None:
            return render_error(404, "There is no such ad, or it is no longer valid.")
        if urlsplit(landing).scheme not in ("http", "https"):
            return render_error(404, "This ad leads to no web page.")
        return RedirectResponse(landing, 303, {"cache-control": "no-store"})

    @routes.get("/ads/report")
    def ads_report() -> HTMLResponse:
        """Show offers, views, clicks and spend of every campaign."""
        report = parts.report()
        columns = [
            name for row in report["campaigns"][:1] for name in row if not name.endswith("_micros")
        ]
        return render("report.html", title="Ads report · Rookery", report=report, columns=columns)

    @routes.get("/ads/report.json")
    def ads_report_json() -> JSONResponse:
        """Return the same report for programs."""
        return JSONResponse(parts.report())

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


def _offer(parts: Parts, query: str, language: str | None, viewer: str) -> Offer | None:
    return parts.ads.serve(AdRequest(text=query, language=language, viewer=viewer)).offer


def _language(request: Request) -> str | None:
    """Return the language that the browser asks for first, such as `en`, or None."""
    first = re.match(r"\s*([A-Za-z]{2,3})\b", request.headers.get("accept-language", ""))
    return first.group(1).lower() if first else None
