"""Following a live stream: read on where it was left, keep what comes, hand it to the lake in
batches.

A thread reads the stream into a short queue; this one takes from it and writes down, in one
transaction, what came within a moment, together with the cursor. What a stream repeats is taken
once. While the lake is behind (another process writes to it), the queue fills, and the server has
to wait. Lost connections are made again after a pause that doubles, with some chance in it so that
many followers do not come back at once. Where a stream may have left something out, the gap is kept
and shown.
"""

import contextlib
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from rookery.core.config import to_plain
from rookery.core.context import Context
from rookery.core.digest import digest_value
from rookery.core.errors import BusyError
from rookery.core.home import Home
from rookery.core.locks import exclusive
from rookery.posts.live import live_log
from rookery.posts.streams.connection import Disconnected, Stream
from rookery.posts.streams.inbox import Gap, Inbox, StreamMessage, flush_to_lake

QUEUE_MOMENTS = 2_000
BATCH_MOMENTS = 2_000
BATCH_SECONDS = 0.2
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 60.0
WAITING_POSTS = 50_000
"""As many may wait for the lake; then the stream is read no further."""


@dataclass(frozen=True)
class Limits:
    """When to hand over to the lake, and when to end; None: when told to."""

    lake_posts: int = 20_000
    lake_seconds: float = 30.0
    seconds: float | None = None
    posts: int | None = None


@dataclass
class FollowReport:
    """What a stream brought. `added` and `edited` are the lake's; `waiting` is what it has not
    taken over yet.
    """

    stream: str
    messages: int = 0
    posts: int = 0
    added: int = 0
    edited: int = 0
    already_there: int = 0
    waiting: int = 0
    events: Counter[str] = field(default_factory=Counter)
    set_aside: Counter[str] = field(default_factory=Counter)
    reconnects: int = 0
    seconds: float = 0.0
    gaps: list[Gap] = field(default_factory=list)

    def to_dict(self) -> dict[str, object]:
        plain = to_plain(self)
        return plain | {
            name: {k: n for k, n in plain[name].items() if n} for name in ("events", "set_aside")
        }


def follow(
    home: Home,
    stream: Stream,
    context: Context,
    limits: Limits = Limits(),
    random: Random | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> FollowReport:
    """Follow a stream until a limit is reached or the process is interrupted; then all that came is
    kept.

    Raises `UsageError` if another process follows it for this home, or the server refuses for good.
    """
    lock = home.path / f"follow-{digest_value(stream.name)[:16]}.lock"
    with exclusive(lock, f"the stream {stream.name}"), live_log(home) as log:
        following = _Following(home, stream, context, limits, Inbox(log))
        with context.progress.task(f"following {stream.name}", None, "messages") as task:
            with contextlib.suppress(KeyboardInterrupt):
                following.run(task, random or Random(), pause)
            following.flush_to_lake(whatever=True)
        return following.reported()


class _Following:
    """One following: its counts and its clocks."""

    def __init__(self, home: Home, stream: Stream, context: Context, limits: Limits, inbox: Inbox):
        self._home, self._stream, self._context, self._limits = home, stream, context, limits
        self._arrivals = inbox
        self._clock = context.clock
        self._began = self._handed_over = self._clock.monotonic_seconds()
        self._waiting = inbox.waiting()
        self.report = FollowReport(stream.name)

    def run(self, task, random: Random, pause: Callable[[float], None]) -> None:
        """Connect, read, and connect again, until it is time to end."""
        pause_seconds = FIRST_PAUSE_SECONDS
        while not self._is_over():
            try:
                for moments in self._connection():
                    self._keep(moments, task)
                    if moments:
                        pause_seconds = FIRST_PAUSE_SECONDS
                    if self._is_over():
                        return
            except Disconnected as lost:
                self.report.reconnects += 1
                seconds = max(pause_seconds * random.uniform(0.5, 1.0), lost.after_seconds)
                seconds = max(min(seconds, self._seconds_left()), 0.0)
                self._context.progress.say(f"{lost.why}; again in {seconds:.1f} s")
                pause(seconds)
                pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)

    def _connection(self) -> Iterator[list[StreamMessage]]:
        """What one connection brings, in batches, an empty one at least every `BATCH_SECONDS`."""
        reader = _Reader(self._stream, self._arrivals.position(self._stream.name))
        try:
            while True:
                yield reader.batch()
                while self._waiting >= WAITING_POSTS and not self._is_over():
                    self.flush_to_lake()
                    time.sleep(BATCH_SECONDS)
        finally:
            reader.stop()

    def _keep(self, moments: list[StreamMessage], task) -> None:
        if moments:
            unknown = self._arrivals.store(self._stream.name, moments, self._clock)
            self._count(moments, unknown)
            task.advance(len(moments), self._shown(moments))
        is_time = self._clock.monotonic_seconds() - self._handed_over >= self._limits.lake_seconds
        if self._waiting and (is_time or self._waiting >= self._limits.lake_posts):
            self.flush_to_lake()

    def _count(self, moments: list[StreamMessage], unknown: int) -> None:
        report = self.report
        report.messages += len(moments)
        posts = sum(len(moment.posts) for moment in moments)
        report.posts += posts
        self._waiting += posts
        report.events.update(event.kind for moment in moments for event in moment.events)
        report.events.update({"forget_post": sum(len(moment.gone) for moment in moments) - unknown})
        report.set_aside.update(moment.set_aside for moment in moments if moment.set_aside)
        report.set_aside.update({"deletion_of_an_unknown_post": unknown})
        report.gaps += [moment.gap for moment in moments if moment.gap]

    def flush_to_lake(self, whatever: bool = False) -> None:
        """Bring what waits into the lake; if another process writes to it, later."""
        self._handed_over = self._clock.monotonic_seconds()
        with contextlib.suppress(BusyError):
            while taken := flush_to_lake(self._home, self._context):
                self.report.added += taken.added
                self.report.edited += taken.edited
                self.report.already_there += taken.already_there
        self._waiting = self._arrivals.waiting()
        if whatever and self._waiting:
            self._context.progress.say(
                f"{self._waiting:,} posts wait for the lake: another process is writing to it"
            )

    def reported(self) -> FollowReport:
        self.report.waiting = self._waiting
        self.report.seconds = round(self._clock.monotonic_seconds() - self._began, 3)
        return self.report

    def _is_over(self) -> bool:
        enough = self._limits.posts is not None and self.report.posts >= self._limits.posts
        return enough or self._seconds_left() <= 0

    def _seconds_left(self) -> float:
        if self._limits.seconds is None:
            return float("inf")
        return self._limits.seconds - (self._clock.monotonic_seconds() - self._began)

    def _shown(self, moments: list[StreamMessage]) -> str:
        """What stands beside the count: the rate, and how far behind now the stream is read."""
        seconds = max(self._clock.monotonic_seconds() - self._began, 1e-9)
        times = [moment.time for moment in moments if moment.time]
        behind = (
            f", {(self._clock.now() - times[-1]).total_seconds():,.0f} s behind" if times else ""
        )
        return f"{self.report.messages / seconds:,.0f}/s{behind}"


class _Reader:
    """A thread that reads one connection into a queue which holds it back when it is full."""

    def __init__(self, stream: Stream, position: str | None):
        self._queue: queue.Queue[StreamMessage | Exception] = queue.Queue(QUEUE_MOMENTS)
        self._stopped = threading.Event()
        self._ended: Exception | None = None
        self._thread = threading.Thread(target=self._read, args=(stream, position), daemon=True)
        self._thread.start()

    def batch(self) -> list[StreamMessage]:
        """What came within a short time; raises what ended the connection when all before it is
        taken.
        """
        if self._ended is not None:
            raise self._ended
        moments: list[StreamMessage] = []
        deadline = time.monotonic() + BATCH_SECONDS
        while len(moments) < BATCH_MOMENTS:
            try:
                item = self._queue.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                break
            if isinstance(item, Exception):
                self._ended = item
                break
            moments.append(item)
        return moments

    def stop(self) -> None:
        """Read no further. The thread ends with its next message; it holds nothing that would be
        missed.
        """
        self._stopped.set()

    def _read(self, stream: Stream, position: str | None) -> None:
        try:
            for moment in stream.moments(position):
                if not self._put(moment):
                    return
        except Exception as error:
            self._put(error)

    def _put(self, item: StreamMessage | Exception) -> bool:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=BATCH_SECONDS)
                return True
        return False
