"""The guard: who may come in, and who is the operator.

A request names a host, and only listed ones are answered: otherwise any web page could reach a
server on this machine by letting its own name point to 127.0.0.1 (DNS rebinding). Where there is a
password, a request must bring it (HTTP Basic, any user name). The operator, who alone sees the ads
report, is whoever brings the password, or asks from this very machine. There are no accounts.

Whether a server may listen on the network at all is decided in `serve.py`.
"""

import base64
import binascii
import hmac
import ipaddress
import re
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from rookery.gateway.errors import error_response

LOCALHOST = "localhost"
ASK_FOR_PASSWORD = {"www-authenticate": 'Basic realm="Rookery", charset="UTF-8"'}
ALIVE = "/healthz"
_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[\w.-]+))(?::[0-9]*)?", re.ASCII)
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


@dataclass(frozen=True)
class Guard:
    """The rules of a server's door.

    allowed_hosts: names of the server beside those of this machine. password: None if there is
    none. is_public: whether pages and API need no password; the operator's pages always do.
    """

    allowed_hosts: frozenset[str] = frozenset()
    password: str | None = None
    is_public: bool = False

    def allows_host(self, host: str, own_address: str) -> bool:
        """Return whether a server at an address answers to the name in a request's `Host`.

        The address itself is no danger: no web page elsewhere is under that name.
        """
        return is_loopback(host) or host == own_address or host in self.allowed_hosts

    def knows(self, authorization: str | None) -> bool:
        """Return whether a header `Authorization` has the password."""
        given = _password_in(authorization or "")
        if self.password is None or given is None:
            return False
        return hmac.compare_digest(given, self.password.encode())

    def is_operator(self, scope: Scope) -> bool:
        """Return whether a request is the operator's."""
        headers = Headers(scope=scope)
        if self.knows(headers.get("authorization")):
            return True
        is_direct = not any(name in headers for name in _FORWARDED)  # not through a proxy here
        client = scope["client"][0] if scope.get("client") else ""
        return is_direct and is_loopback(client) and is_loopback(named_host(headers.get("host")))

    def admits(self, scope: Scope) -> bool:
        """Return whether a request needs no password, or has it."""
        if self.password is None or self.is_public or scope["path"] == ALIVE:
            return True
        return self.knows(Headers(scope=scope).get("authorization"))


def is_loopback(host: str) -> bool:
    """Return whether a name or address is that of this machine for itself alone.

    >>> [is_loopback(h) for h in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "evil.example")]
    [True, True, True, False, False]
    """
    if host == LOCALHOST:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def named_host(header: str | None) -> str:
    """Return the host in a header `Host`, without the port; empty if there is none.

    >>> named_host("[::1]:8700"), named_host("Rooks.Example:80"), named_host("a@b"), named_host(":")
    ('::1', 'rooks.example', '', '')
    """
    found = _HOST.fullmatch(header or "")
    return (found["six"] or found["name"]).lower().rstrip(".") if found else ""


async def operator_only(request: Request) -> None:
    """Refuse a request that is not the operator's: a dependency of the operator's pages."""
    if request.state.operator:
        return
    if request.state.has_password:
        raise HTTPException(401, "This page needs the server's password", ASK_FOR_PASSWORD)
    what = "This page is for the operator: ask from the machine itself, or set a password"
    raise HTTPException(403, what)


def _password_in(authorization: str) -> bytes | None:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        _, colon, password = base64.b64decode(value, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return password if colon else None


class Guarded:
    """A middleware that turns away whom the guard does not let in, and marks the operator."""

    def __init__(self, app: ASGIApp, guard: Guard):
        self._app, self._guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["operator"] = self._guard.is_operator(scope)
        state["has_password"] = self._guard.password is not None
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        host = named_host(Headers(scope=scope).get("host"))
        own_address = scope["server"][0] if scope.get("server") else ""
        if not self._guard.allows_host(host, own_address):
            what = "This server does not go by that name; the operator can list it (--allowed-host)"
            return error_response(scope["path"], 400, what)
        if not self._guard.admits(scope):
            what = "This server needs its password"
            return error_response(scope["path"], 401, what, headers=ASK_FOR_PASSWORD)
        return None
