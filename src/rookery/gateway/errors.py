"""The form of errors: OpenAI's envelope under `/v1`, JSON for other programs, a page for people.

No response holds a traceback. Which error it is, is decided where it happens.
"""

from collections.abc import Mapping

from fastapi.responses import JSONResponse
from starlette.responses import Response

from rookery.gateway.api.openai import ApiError, api_error_response
from rookery.gateway.pages.routes import render_error


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
    if path.endswith(".json") or path == "/healthz":
        return JSONResponse({"error": what}, status)
    return render_error(status, what)
