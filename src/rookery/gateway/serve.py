"""`rookery serve`: open everything once, listen on a port, and stop quietly at Ctrl-C.

What is served is opened in `wiring.py`; its routes are put together in `app.py`.
"""

import contextlib
import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.core.home import Home
from rookery.gateway.app import create_app
from rookery.gateway.wiring import open_parts

log = logging.getLogger("rookery.gateway")

GRACE_SECONDS = 3
LEARN_POLL_SECONDS = 15  # how often to ask; whether learning is due is for the ad server to decide


def serve(
    home: Home,
    host: str | None = None,
    port: int | None = None,
    context: Context = Context(),
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve a home until Ctrl-C.

    host, port: those of `rookery.toml` unless given; port 0 takes any free port. ready: called with
    the address to open as soon as requests are answered. Raises `UsageError` before any work if it
    cannot listen there.
    """
    settings = home.settings.serve
    host, port = host or settings.host, settings.port if port is None else port
    with listening(host, port) as listener:
        parts = open_parts(home, context)
        with learning_beside(parts.ads.learn):
            run(create_app(parts, context.clock), listener, ready)


@contextlib.contextmanager
def learning_beside(
    learn: Callable[[], bool], poll_seconds: float = LEARN_POLL_SECONDS
) -> Iterator[None]:
    """Call `learn` again and again, beginning at once, in a thread beside the requests.

    No visitor waits for it. An error goes to the log, and the next call comes all the same.
    """
    ended = threading.Event()

    def keep_learning() -> None:
        while not ended.is_set():
            try:
                learn()
            except Exception:
                log.exception("learning from clicks failed")
            ended.wait(poll_seconds)

    thread = threading.Thread(target=keep_learning, name="learning from clicks", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(GRACE_SECONDS)


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen on an address and yield the socket; raise `UsageError` if that cannot be done."""
    where = f"{host}:{port}"
    if not 0 <= port <= 65_535:
        raise UsageError(
            "a port is a number from 0 to 65535", where=where, hint="Choose another with --port"
        )
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (socket.gaierror, UnicodeError):
        raise UsageError(
            "this address does not belong to this machine", where=where, hint="Use 127.0.0.1"
        ) from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(128)
        except OSError as error:
            raise UsageError(
                _why_not(error), where=where, hint="Choose another with --port"
            ) from None
        yield listener


def _why_not(error: OSError) -> str:
    reasons = {
        errno.EADDRINUSE: "something else listens there already",
        errno.EACCES: "you have no permission to listen on this port",
        errno.EADDRNOTAVAIL: "this address does not belong to this machine",
    }
    return reasons.get(error.errno or 0, f"cannot listen there: {error.strerror}")


def run(app: FastAPI, listener: socket.socket, ready: Callable[[str], None]) -> None:
    """Serve an application on a listening socket until Ctrl-C.

    Requests in progress then have `GRACE_SECONDS` to end.
    """
    settings = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
    )
    with contextlib.suppress(KeyboardInterrupt):
        _Server(settings, lambda: ready(address_of(listener))).run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that calls a function when it has started."""

    def __init__(self, settings: uvicorn.Config, started: Callable[[], None]):
        super().__init__(settings)
        self._report_start = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._report_start()


def address_of(listener: socket.socket) -> str:
    """Return the address to open in a browser."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}/"
