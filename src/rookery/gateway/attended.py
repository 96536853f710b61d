"""Attended requests: one runs only while somebody waits for it, and only with a body in bounds.

When the client leaves, the request is cancelled: what waits for a thread never begins, what runs in
one ends with its present step. A body that is larger than `MAX_BODY_BYTES`, or says that it will
be, is refused before it is read.

Not here: how long a request may take to arrive (`connection.py`).
"""

import math

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rookery.gateway.errors import error_response

MAX_BODY_BYTES = 1 << 20
"""Many times a prompt that fills the context of a model."""


class Attended:
    """The middleware that attends to the client while the application works."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _declared_bytes(scope) > MAX_BODY_BYTES:
            await _too_large(scope, receive, send)
            return
        request, failure = _Request(receive, send), None
        async with anyio.create_task_group() as group:
            group.start_soon(request.attend, group.cancel_scope)
            try:
                await self._app(scope, request.receive, request.send)
            except Exception as error:  # raised below: the group would wrap it
                failure = error
            group.cancel_scope.cancel()
        request.close()
        if failure is not None:
            raise failure
        if request.is_too_large and not request.is_answered:
            await _too_large(scope, receive, send)


class _Request:
    """What passes between client and application, in both directions.

    The body goes through a channel that holds one message, so that the client is noticed to leave
    although nobody reads the body, and is not read faster than the application takes it.
    """

    def __init__(self, receive: Receive, send: Send):
        self._receive, self._send = receive, send
        channel: tuple[MemoryObjectSendStream[Message], MemoryObjectReceiveStream[Message]]
        channel = anyio.create_memory_object_stream(1)
        self._arrived, self._taken = channel
        self.is_answered = self.is_complete = self.is_too_large = False

    def close(self) -> None:
        """Close the channel."""
        self._arrived.close()
        self._taken.close()

    async def attend(self, work: anyio.CancelScope) -> None:
        """Pass the body on, and end the work when its client leaves or sends too much."""
        body_bytes = 0
        while (message := await self._receive())["type"] == "http.request":
            body_bytes += len(message.get("body", b""))
            if body_bytes > MAX_BODY_BYTES:
                self.is_too_large = True
                break
            await self._arrived.send(message)
        if not self.is_complete:  # after the response too, the server reports that the client left
            work.cancel()  # before the channel closes, at which the work would answer
        self._arrived.close()

    async def receive(self) -> Message:
        """Return the next part of the body, or that the client has left."""
        try:
            return await self._taken.receive()
        except anyio.EndOfStream:
            return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send a part of the response, and note whether it is the last."""
        self.is_answered = True
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.is_complete = True
        await self._send(message)


def _declared_bytes(scope: Scope) -> float:
    declared = Headers(scope=scope).get("content-length", "0")
    return int(declared) if declared.isdecimal() and len(declared) < 20 else math.inf


async def _too_large(scope: Scope, receive: Receive, send: Send) -> None:
    what = f"The body is larger than {MAX_BODY_BYTES:,} bytes"
    await error_response(scope["path"], 413, what)(scope, receive, send)
