"""The ASGI application: all routes, the headers of every response, and the form of errors.

A request passes the envelope (headers), the guard (`guard.py`) and whoever attends to its client
(`attended.py`) before it reaches a route. The routes are in `api/` (OpenAI's, and three of search)
and `pages/`; what they serve is opened in `wiring.py`.
"""

import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from pathlib import Path

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rookery.core.context import Clock
from rookery.core.errors import RookeryError
from rookery.gateway.api.ads import sold_routes
from rookery.gateway.api.bluesky import bluesky_routes
from rookery.gateway.api.mastodon import mastodon_routes
from rookery.gateway.api.openai import ApiError, api_error_response, openai_routes
from rookery.gateway.api.search import search_routes
from rookery.gateway.attended import Attended
from rookery.gateway.errors import error_response
from rookery.gateway.guard import ALIVE, Guard, Guarded, operator_only
from rookery.gateway.pages.ads import ad_routes
from rookery.gateway.pages.routes import page_routes
from rookery.gateway.parts import Parts
from rookery.version import __version__

log = logging.getLogger("rookery.gateway")

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src "
    "'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


THREADS = 4
"""For pages and counting tokens. More would take turns at Python's lock, and keep the loop waiting,
which answers whether the server is alive.
"""


def create_app(
    parts: Parts,
    clock: Clock,
    new_id: Callable[[], str] = secrets.token_hex,
    guard: Guard = Guard(),
) -> FastAPI:
    """Return the application that serves these parts.

    new_id: returns a new random name; requests and viewers are named by it.
    """
    app = FastAPI(
        title="Rookery",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        lifespan=_few_threads,
    )
    app.include_router(openai_routes(parts.generator, clock, new_id))
    for routes_of in (search_routes, bluesky_routes, mastodon_routes):
        app.include_router(routes_of(parts))
    app.include_router(page_routes(parts, new_id))
    app.include_router(sold_routes(parts, operator_only))
    app.include_router(ad_routes(parts, operator_only))
    app.mount(
        "/static", StaticFiles(directory=Path(__file__).parent / "pages" / "static"), name="static"
    )

    @app.get(ALIVE)
    async def healthz() -> dict[str, str]:
        """Report that the server is alive, and which model serves; it needs no thread."""
        return {"status": "ok", "version": __version__, "model": parts.generator.name}

    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_middleware(Attended)
    app.add_middleware(Guarded, guard=guard)
    app.add_middleware(_Envelope, new_id=new_id)
    return app


@contextlib.asynccontextmanager
async def _few_threads(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


class _Envelope:
    """The outermost middleware.

    It adds a request id and security headers to every response, and answers where the application
    crashed.
    """

    def __init__(self, app: ASGIApp, new_id: Callable[[], str]):
        self._app, self._new_id = app, new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
        headers.append((b"x-request-id", f"req_{self._new_id()}".encode()))
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": [*message.get("headers", []), *headers]}
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            log.exception("a request failed: %s", scope["path"])
            if started:
                raise
            await _crashed(scope["path"], error)(scope, receive, send_with_headers)


def _crashed(path: str, error: Exception) -> Response:
    what = (
        error.line()
        if isinstance(error, RookeryError)
        else "Something went wrong here; the log of the server has the details"
    )
    return error_response(path, 500, what, kind="server_error")


# The handlers are coroutines, since a function would wait for a thread like any page.


async def _on_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # the handler is registered for these alone
        raise error
    is_bare = error.detail == HTTPStatus(error.status_code).phrase
    is_nothing = is_bare and error.status_code == 404
    what = "There is nothing at this address" if is_nothing else str(error.detail)
    return error_response(request.url.path, error.status_code, what, headers=error.headers)


async def _on_invalid(request: Request, error: Exception) -> Response:
    """Return pydantic's message about the first wrong parameter, as one line."""
    if not isinstance(error, RequestValidationError):  # the handler is registered for these alone
        raise error
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query"))
    what = "the body is not valid JSON" if first["type"] == "json_invalid" else first["msg"]
    message = f"{place}: {what}" if place and first["type"] != "json_invalid" else what
    return error_response(request.url.path, 400, message, param=place or None)


async def _on_api_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):  # the handler is registered for these alone
        raise error
    return api_error_response(error)
