"""The routes of the promoted post: views, clicks, and the report of the ads for the operator."""

import base64
import contextlib
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from rookery.ads.ledger.traffic import Visitor
from rookery.ads.server import AdRequest, Offer
from rookery.core.errors import StorageError
from rookery.core.verdict import Drop
from rookery.gateway.pages.render import render, render_error
from rookery.gateway.parts import Parts

VIEWER = "rookery_viewer"
_VIEWER_NAME = re.compile(r"[0-9a-f]{16,64}")
_PURPOSE_HEADERS = ("sec-purpose", "purpose", "x-purpose", "x-moz")
_TRANSPARENT_PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def ad_routes(parts: Parts, operator_only: Callable[[Request], Any]) -> APIRouter:
    """Return the routes of views, clicks and the report.

    operator_only: refuses the requests of others.
    """
    routes = APIRouter(include_in_schema=False)

    @routes.post("/ads/{token}/view")
    def view(token: str, request: Request) -> JSONResponse:
        """Count a view: the promoted post was on the screen."""
        try:
            verdict = parts.ads.view(token, _visitor(request))
        except StorageError:  # the log of the server says why
            return JSONResponse({"counted": False, "reason": "not_booked"}, 503)
        return JSONResponse(
            {"counted": not isinstance(verdict, Drop), "reason": getattr(verdict, "reason", None)}
        )

    @routes.get("/ads/{token}/view.gif")
    def view_without_script(token: str, request: Request) -> Response:
        """Count a view in a browser that runs no script, which loads this image instead."""
        with contextlib.suppress(StorageError):  # the image is there all the same
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
    def ads_report() -> Response:
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


def device_of(request: Request) -> str | None:
    """Return the device that a browser says it runs on, or None if it does not say."""
    says = request.headers.get("sec-ch-ua-mobile")
    return {"?1": "phone", "?0": "desktop"}.get(says or "")


def viewer_of(request: Request) -> str | None:
    """Return the name in the viewer's cookie, or None if there is none of ours."""
    viewer = request.cookies.get(VIEWER, "")
    return viewer if _VIEWER_NAME.fullmatch(viewer) else None


def offer(
    parts: Parts, query: str, language: str | None, viewer: str, device: str | None = None
) -> Offer | None:
    """Return the ad that wins a place beside the results of a query, or None."""
    request = AdRequest(text=query, language=language, viewer=viewer, device=device)
    offers = parts.ads.serve(request)
    return offers[0] if offers else None


def _visitor(request: Request) -> Visitor:
    """Return the sender of a request, as the ledger judges it."""
    purposes = [request.headers.get(name, "") for name in _PURPOSE_HEADERS]
    return Visitor(
        viewer=request.cookies.get(VIEWER, ""),
        user_agent=request.headers.get("user-agent", ""),
        method=request.method,
        purpose=" ".join(purposes),
    )
