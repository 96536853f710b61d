"""The form of errors: that of the API whose path it is, JSON for other programs, a page for people.

OpenAI's envelope under `/v1`, `{"error", "message"}` under `/xrpc` (AT protocol), and `{"error"}`
under `/api` (Mastodon) and `/ads/v1`.

No response holds a traceback. Which error it is, is decided where it happens.
"""

from collections.abc import Mapping

from fastapi.responses import JSONResponse
from starlette.responses import Response

from rookery.gateway.api.openai import ApiError, api_error_response
from rookery.gateway.pages.render import render_error

_FOR_PROGRAMS = ("/healthz", "/suggest")


def error_response(
    path: str,
    status: int,
    what: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error as a response in the form that suits the path."""
    response = _form(path, status, what, kind, param)
    response.headers.update(headers or {})
    return response


def _form(path: str, status: int, what: str, kind: str, param: str | None) -> Response:
    if path.startswith("/v1"):
        return api_error_response(ApiError(status, what, kind=kind, param=param))
    if path.startswith("/xrpc"):
        name = "InvalidRequest" if status < 500 else "InternalServerError"
        return JSONResponse({"error": name, "message": what}, status)
    if path.startswith(("/api/", "/ads/v1/")) or path.endswith(".json") or path in _FOR_PROGRAMS:
        return JSONResponse({"error": what}, status)
    return render_error(status, what)
