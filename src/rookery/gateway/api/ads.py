"""The API of what is sold, under `/ads/v1`, for operators: what `rookery ads` does, over REST.

Objects have the fields that files have (`ads/terms/files.py`). What is new begins paused and
unreviewed here, too, and a request takes effect as a whole or not at all.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from rookery.ads import sold
from rookery.ads.explain import why
from rookery.ads.ledger.store import reading
from rookery.ads.terms import exporting
from rookery.ads.terms.files import Sheet, sheet_of
from rookery.core.errors import DataError, UsageError
from rookery.gateway.parts import Parts

Kinds = Literal["advertisers", "fundings", "campaigns", "groups", "ads"]
Pausables = Literal["campaigns", "groups", "ads"]
Form = Literal["toml", "json", "csv"]
_MEDIA = {"toml": "application/toml", "json": "application/json", "csv": "text/csv"}
_WRITE = {"toml": exporting.as_toml, "json": exporting.as_json, "csv": exporting.as_csv}


def sold_routes(parts: Parts, operator_only: Callable[[Request], Any]) -> APIRouter:
    """Return the routes under `/ads/v1`. operator_only: refuses the requests of others."""
    routes = APIRouter(prefix="/ads/v1", dependencies=[Depends(operator_only)], tags=["ads"])

    @routes.post("/import")
    async def import_(request: Request, form: Form = "json", dry_run: bool = False) -> Response:
        """Import a file, all of it or nothing."""
        sheet = _read(await request.body(), form)
        return _changes(
            await run_in_threadpool(_told, sold.import_sheet, parts.ads.store, sheet, dry_run)
        )

    @routes.get("/export")
    def export(form: Form = "json") -> Response:
        """Return all that is sold, as a file that imports as no change."""
        text = _WRITE[form](sold.export_book(parts.ads.store))
        return Response(text, media_type=f"{_MEDIA[form]}; charset=utf-8")

    @routes.get("/report")
    def report() -> JSONResponse:
        """Return what every campaign got and paid."""
        return JSONResponse(parts.report())

    @routes.get("/{kinds}")
    def all_of(kinds: Kinds) -> JSONResponse:
        """Return all objects of a kind."""
        found = exporting.plain_of(sold.export_book(parts.ads.store)).get(
            kinds.removesuffix("s"), []
        )
        return _json({kinds: found})

    @routes.get("/{kinds}/{name}")
    def one_of(kinds: Kinds, name: str) -> JSONResponse:
        """Return an object."""
        found = exporting.plain_of(sold.export_book(parts.ads.store)).get(
            kinds.removesuffix("s"), []
        )
        return _json(next((one for one in found if one["id"] == name), None) or _absent(name))

    @routes.patch("/{kinds}/{name}")
    async def change(request: Request, kinds: Kinds, name: str) -> Response:
        """Change the fields of an object that the request names, or make it."""
        fields = _object(await request.body())
        plain = {kinds.removesuffix("s"): [fields | {"id": name}]}
        currency = {"currency": fields.pop("currency")} if "currency" in fields else {}
        sheet = _read(json.dumps(currency | plain, default=str).encode(), "json")
        return _changes(await run_in_threadpool(_told, sold.import_sheet, parts.ads.store, sheet))

    @routes.post("/ads/{name}/approve")
    def approve(name: str) -> JSONResponse:
        """Let the newest words of an ad be shown."""
        _told(sold.approve, parts.ads.store, [name])
        return JSONResponse({"id": name, "review": "approved"})

    @routes.post("/ads/{name}/reject")
    def reject(name: str, reason: str = "") -> JSONResponse:
        """Refuse the newest words of an ad."""
        _told(sold.reject, parts.ads.store, [name], reason)
        return JSONResponse({"id": name, "review": "rejected"})

    @routes.post("/{kinds}/{name}/pause")
    def pause(kinds: Pausables, name: str, below: bool = False) -> JSONResponse:
        """Stop an object from the next request on; below: and all in it."""
        count = _told(sold.set_paused, parts.ads.store, kinds.removesuffix("s"), name, True, below)
        return JSONResponse({"id": name, "paused": True, "objects": count})

    @routes.post("/{kinds}/{name}/resume")
    def resume(kinds: Pausables, name: str, below: bool = False) -> JSONResponse:
        """Let an object run; below: and all in it."""
        count = _told(sold.set_paused, parts.ads.store, kinds.removesuffix("s"), name, False, below)
        return JSONResponse({"id": name, "paused": False, "objects": count})

    @routes.get("/campaigns/{name}/why")
    def why_not(name: str) -> JSONResponse:
        """Return why the groups of a campaign did not run, and how often they were offered."""
        with reading(parts.ads.store) as connection:
            rows = _told(why, connection, name)
        reasons = [{"group": r.group, "reason": r.reason, "times": r.times} for r in rows]
        return JSONResponse({"campaign": name, "reasons": reasons})

    return routes


def _read(body: bytes, form: str) -> Sheet:
    return _told(sheet_of, body, form)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}", parse_float=Decimal)
    except ValueError as error:
        raise HTTPException(400, f"not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise HTTPException(400, "the body must be an object with the fields to change")
    return found


def _told(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a call returns; its complaint becomes the answer."""
    try:
        return call(*arguments)
    except UsageError as error:
        raise HTTPException(404 if "there is no" in error.line() else 400, error.line()) from None
    except DataError as error:
        raise HTTPException(400, error.line()) from None


def _changes(changes: Any) -> JSONResponse:
    return JSONResponse(changes.count() | {"waiting": changes.to_review})


def _absent(name: str) -> Any:
    raise HTTPException(404, f"there is no {name}")


def _json(value: Any) -> JSONResponse:
    """Return an answer in which amounts are texts with all their digits, as files allow."""
    return JSONResponse(json.loads(json.dumps(value, default=str)))
