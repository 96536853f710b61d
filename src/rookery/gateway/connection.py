"""Connections with deadlines: nobody holds one open by sending or reading slowly.

uvicorn waits for ever for the rest of a request that has begun, and for a client that does not read
its response. Here each has a deadline, which more bytes do not move; where it passes, the
connection is closed. How large a body may be is decided in `attended.py`.
"""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10
"""From the connection, or the end of the last response, to the end of a request's head."""
BODY_SECONDS = 30
"""From the end of the head to the end of the body, also if nobody wants it any more."""
STALLED_SECONDS = 60
"""How long a client may leave a full buffer of its response unread."""
KEEP_ALIVE_SECONDS = 5


class TimedConnection(H11Protocol):
    """uvicorn's connection over h11, closed at the deadlines."""

    _awaited: object = None
    _arrival: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._await_rest()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._stop(self._arrival, self._stall)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Take what has arrived, and set the deadline for what has not."""
        super().handle_events()
        self._await_rest()

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read."""
        super().pause_writing()
        self._stop(self._stall)
        self._stall = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """End the wait: the client reads again."""
        self._stop(self._stall)
        super().resume_writing()

    def _await_rest(self) -> None:
        awaited = self.conn.their_state
        if awaited is self._awaited:
            return  # still the same head or body: its deadline stays
        self._awaited = awaited
        self._stop(self._arrival)
        seconds = {h11.IDLE: HEAD_SECONDS, h11.SEND_BODY: BODY_SECONDS}.get(awaited)
        if seconds is not None:
            self._arrival = self.loop.call_later(seconds, self.transport.close)

    @staticmethod
    def _stop(*timers: asyncio.TimerHandle | None) -> None:
        for timer in timers:
            if timer is not None:
                timer.cancel()
