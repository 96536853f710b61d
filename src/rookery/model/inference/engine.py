"""The engine: one thread that owns a network and writes the texts of all who ask.

Requests come and go between two passes. The pieces of each wait in a buffer of its own until they
are read; a text whose buffer is full leaves its slot until its reader has caught up. A reader that
closes, or is forgotten, ends its texts at once.

An error in one text ends its request. An error in a pass ends all requests that were in it; those
that wait are served, and so is whoever comes later.

Not here: the batch itself (`slots.py`).
"""

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import torch

from rookery.core.errors import RookeryError, UsageError
from rookery.core.protocols import TextChunk

MOST_WAITING_PIECES = 1024
"""How many pieces of a request are written before they are read."""
CLOSED = "the generator was closed"


class Writing(Protocol):
    """A text while it is written."""

    def take(self, given: Any) -> TextChunk | None:
        """Take what a step gave for the next token; return the piece that is finished, if any."""


class Places(Protocol):
    """The places of the texts that are written at once: `slots.py`, or `llama.py`."""

    @property
    def free(self) -> int:
        """Return how many more texts may join."""

    def join(self, text: Any) -> None:
        """Give a text a place."""

    def leave(self, text: Any) -> None:
        """Free the place of a text."""

    def step(self) -> list[tuple[Any, Any]]:
        """Come further with all texts; return what those that are ready have to take."""

    def clear(self) -> None:
        """Free all places, and forget what they hold."""


class Request:
    """What one call asked for, as the engine sees it: its texts, and the buffer of their pieces."""

    def __init__(self, texts: Sequence[Writing], most_pieces: int):
        self.texts = list(texts)
        self.most_pieces = most_pieces
        self.pieces: SimpleQueue[TextChunk | BaseException] = SimpleQueue()
        self.is_cancelled = self.is_stalled = False


class Reader:
    """The pieces of one request, for whoever asked: a `Continuation` of core/protocols.py."""

    def __init__(self, engine: "Engine", request: Request, owner: object):
        """Begin to read; `owner` is kept alive as long as there is something to read."""
        self._engine, self._request, self._owner = engine, request, owner
        self._open = len(request.texts)

    def __iter__(self) -> Iterator[TextChunk]:
        return self

    def __next__(self) -> TextChunk:
        if not self._open:
            raise StopIteration
        self._engine.check_process()
        piece = self._request.pieces.get()
        if isinstance(piece, BaseException):
            self._open = 0
            raise piece
        self._open -= piece.finish_reason is not None
        if self._request.is_stalled and self._has_caught_up():
            self._engine.signal(self._request)
        return piece

    def _has_caught_up(self) -> bool:
        return 2 * self._request.pieces.qsize() <= self._request.most_pieces

    def close(self) -> None:
        """End the texts at once."""
        if self._open:
            self._open = 0
            self._request.is_cancelled = True
            self._engine.signal(self._request)

    def __del__(self) -> None:
        self.close()


class Engine:
    """A network at work: it takes requests from any thread, and one thread of its own serves them.

    The thread begins with the first request, and ends with `close`.
    """

    def __init__(self, slots: Places, most_pieces: int = MOST_WAITING_PIECES):
        self._slots, self._most_pieces = slots, most_pieces
        self._signals: SimpleQueue[Request | None] = SimpleQueue()
        self._waiting: deque[tuple[Request, Writing]] = deque()
        self._stalled: list[tuple[Request, Writing]] = []
        self._requests: dict[Writing, Request] = {}
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def check_process(self) -> None:
        """Raise `UsageError` in a process that was forked from the one with the thread."""
        if os.getpid() != self._process:
            raise UsageError(
                "this generator belongs to another process, of which this one is a fork",
                hint="Load a generator in each process",
            )

    def submit(self, texts: Sequence[Writing], owner: object) -> Reader:
        """Begin to write some texts, and return the reader of their pieces."""
        self.check_process()
        request = Request(texts, self._most_pieces)
        with self._lock:
            if self._is_closed:
                raise UsageError(CLOSED)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="generator", daemon=True)
                self._thread.start()
            self._signals.put(request)
        return Reader(self, request, owner)

    def signal(self, request: Request) -> None:
        """Tell the thread that a request was cancelled, or that its reader has caught up."""
        if os.getpid() == self._process:
            self._signals.put(request)

    def close(self) -> None:
        """End all requests, and the thread; requests that come later are refused."""
        if os.getpid() != self._process:
            return
        with self._lock:
            self._is_closed = True
            self._signals.put(None)
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        with torch.inference_mode():
            while self._hear():
                try:
                    self._step()
                except BaseException as error:  # whatever it is, the others shall be served
                    self._fail(list(self._requests.values()), error)
                    self._slots.clear()
                    self._requests.clear()
        self._slots.clear()
        waiting = [request for request, _ in [*self._waiting, *self._stalled]]
        self._fail([*self._requests.values(), *waiting], UsageError(CLOSED))

    def _hear(self) -> bool:
        """Take all signals, waiting for one if there is nothing to do; tell whether to go on."""
        must_wait = not self._requests and not self._waiting
        while True:
            try:
                request = self._signals.get(block=must_wait)
            except Empty:
                return True
            if request is None:
                return False
            self._take(request)
            must_wait = not self._requests and not self._waiting

    def _take(self, request: Request) -> None:
        """Take a new request in, a cancelled one out, and one that had stalled back again."""
        self._waiting.extend((request, text) for text in request.texts)
        request.texts = []
        if request.is_cancelled:
            self._drop(request)
        elif request.is_stalled:
            request.is_stalled = False
            self._waiting.extend(pair for pair in self._stalled if pair[0] is request)
            self._stalled = [pair for pair in self._stalled if pair[0] is not request]

    def _drop(self, request: Request) -> None:
        """Forget a request and all of its texts."""
        for text in [text for text, owner in self._requests.items() if owner is request]:
            self._leave(text)
        self._waiting = deque(pair for pair in self._waiting if pair[0] is not request)
        self._stalled = [pair for pair in self._stalled if pair[0] is not request]

    def _leave(self, text: Writing) -> None:
        self._slots.leave(text)
        del self._requests[text]

    def _step(self) -> None:
        while self._waiting and self._slots.free:
            request, text = self._waiting.popleft()
            self._slots.join(text)
            self._requests[text] = request
        for text, given in self._slots.step():
            if text in self._requests:  # else another text of its request has just failed
                self._write(self._requests[text], text, given)

    def _write(self, request: Request, text: Writing, given: Any) -> None:
        """Let a text take its next token, and hand over the piece that is finished."""
        try:
            piece = text.take(given)
        except Exception as error:
            self._drop(request)
            self._fail([request], error)
            return
        if piece is None:
            return
        request.pieces.put(piece)
        if piece.finish_reason is not None:
            self._leave(text)
        elif request.pieces.qsize() >= request.most_pieces:
            self._stall(request, text)

    def _stall(self, request: Request, text: Writing) -> None:
        """Take a text out of its slot until its reader has caught up."""
        self._leave(text)
        self._stalled.append((request, text))
        request.is_stalled = True
        if request.pieces.qsize() < request.most_pieces:  # the reader came before it could see this
            self._signals.put(request)

    def _fail(self, requests: Sequence[Request], error: BaseException) -> None:
        """End requests with an error."""
        for request in {id(request): request for request in requests}.values():
            request.pieces.put(error if isinstance(error, RookeryError) else _unexpected(error))
            self._waiting = deque(pair for pair in self._waiting if pair[0] is not request)
            self._stalled = [pair for pair in self._stalled if pair[0] is not request]


def _unexpected(error: BaseException) -> RookeryError:
    """Return an error for the readers, of which the cause is the one that came up."""
    failed = RookeryError(f"writing failed: {type(error).__name__}: {error}")
    failed.__cause__ = error
    return failed
