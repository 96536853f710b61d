"""`rookery serve`: open everything once, listen on a port, and stop quietly at Ctrl-C.

What is served is opened in `wiring.py`; its routes are put together in `app.py`.
"""

import contextlib
import errno
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from rookery.core.cluster import join_cluster
from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.core.home import Home
from rookery.gateway.app import create_app
from rookery.gateway.connection import KEEP_ALIVE_SECONDS, TimedConnection
from rookery.gateway.guard import Guard, is_loopback, named_host
from rookery.gateway.wiring import open_parts

log = logging.getLogger("rookery.gateway")

GRACE_SECONDS = 3
POLL_SECONDS = 0.2
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0  # before a follower is started again
ADS_POLL_SECONDS = 0.1
LEARN_POLL_SECONDS = 15  # how often to ask; whether learning is due is for the ad server to decide


def serve(
    home: Home,
    host: str | None = None,
    port: int | None = None,
    context: Context = Context(),
    ready: Callable[[str], None] = lambda address: None,
    *,
    allowed_hosts: Sequence[str] = (),
    password_file: Path | None = None,
    is_public: bool = False,
) -> None:
    """Serve a home until Ctrl-C.

    host, port: those of `rookery.toml` unless given; port 0 takes any free port. ready: called with
    the address to open as soon as requests are answered. allowed_hosts: names of the server beside
    those in `rookery.toml`. password_file: its first line is needed for every page, or with
    `is_public` for the operator's alone. Raises `UsageError` before any work if it cannot listen
    there, or if the network could reach it and neither is given.
    """
    settings = home.settings.serve
    host, port = host or settings.host, settings.port if port is None else port
    guard = Guard(
        allowed_hosts=_host_names([*settings.allowed_hosts, *allowed_hosts]),
        password=None if password_file is None else read_password(password_file),
        is_public=is_public,
    )
    with listening(host, port) as listener:
        _check_exposure(listener, guard)
        parts = open_parts(home, context)
        with (
            contextlib.closing(parts.ads),
            repeated_beside(parts.ads.tick, "keeping up with the ads", ADS_POLL_SECONDS),
            repeated_beside(parts.ads.learn, "learning from clicks", LEARN_POLL_SECONDS),
            indexing_beside(home),
        ):
            run(create_app(parts, context.clock, guard=guard), listener, ready)


def _check_exposure(listener: socket.socket, guard: Guard) -> None:
    """Raise `UsageError` if the network can reach a server that nobody decided to open to it."""
    host, port = listener.getsockname()[:2]
    if is_loopback(host) or guard.password is not None or guard.is_public:
        return
    raise UsageError(
        "the network could read everything that this server shows",
        where=f"{host}:{port}",
        hint="Give --password-file FILE, or --public if everybody may, or listen on 127.0.0.1",
    )


def _host_names(names: Sequence[str]) -> frozenset[str]:
    for name in names:
        if not name or named_host(name) != name.lower():
            raise UsageError(
                f"{name!r} is no name of a host",
                where="allowed hosts",
                hint="Write it as in rooks.example, without scheme and port",
            )
    return frozenset(name.lower() for name in names)


def read_password(path: Path) -> str:
    """Return the first line of a file; raise `UsageError` if there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(f"the password cannot be read: {reason}", where=path) from None
    if not lines or not lines[0].strip():
        raise UsageError(
            "the password is empty", where=path, hint="Write it on the first line of the file"
        )
    return lines[0].strip()


@contextlib.contextmanager
def repeated_beside(call: Callable[[], object], what: str, poll_seconds: float) -> Iterator[None]:
    """Call something again and again, beginning at once, in a thread beside the requests.

    No visitor waits for it. An error goes to the log, and the next call comes all the same; one
    that comes again and again is told once. what: what it does, for the log.
    """
    ended = threading.Event()

    def repeat() -> None:
        has_failed = False
        while not ended.is_set():
            try:
                call()
                has_failed = False
            except Exception:
                if not has_failed:
                    log.exception("%s failed", what)
                has_failed = True
            ended.wait(poll_seconds)

    thread = threading.Thread(target=repeat, name=what, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(GRACE_SECONDS)


@contextlib.contextmanager
def indexing_beside(home: Home) -> Iterator[None]:
    """Keep the search index current in a process of its own, which ends with this one.

    One that was killed is started again. If another process keeps the index current already, the
    own one ends at once, and it is tried again now and then.
    """
    if home.settings.search.runner == "ray":
        join_cluster(home.settings.search.address)  # one that is started here is joined there
    ended = threading.Event()
    thread = threading.Thread(target=_keep_following, args=[home, ended], name="search index")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _keep_following(home: Home, ended: threading.Event) -> None:
    command = [sys.executable, "-m", "rookery", "search", "index", "--follow"]
    command += ["--parent", str(os.getpid()), "--home", str(home.path)]
    pause_seconds, errors = FIRST_PAUSE_SECONDS, None
    while not ended.is_set():
        # its own group: Ctrl-C at the terminal is for the server, which then ends it
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        errors = subprocess.DEVNULL  # what it says is said once
        is_killed = _wait(process, ended) < 0
        pause_seconds = FIRST_PAUSE_SECONDS if is_killed else 2 * pause_seconds
        ended.wait(min(pause_seconds, LONGEST_PAUSE_SECONDS))


def _wait(process: subprocess.Popen[bytes], ended: threading.Event) -> int:
    """Return the exit status of a process, which is ended when `ended` is set."""
    while process.poll() is None:
        if ended.wait(POLL_SECONDS):
            process.terminate()
            try:
                return process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
    return process.wait()


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
    with contextlib.suppress(KeyboardInterrupt):
        _Server(server_config(app), lambda: ready(address_of(listener))).run(sockets=[listener])


def server_config(app: FastAPI) -> uvicorn.Config:
    """Return how uvicorn serves an application: quietly, with deadlines, without web sockets."""
    return uvicorn.Config(
        app,
        http=TimedConnection,
        ws="none",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
    )


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
