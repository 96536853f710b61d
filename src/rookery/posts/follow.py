"""Following a live stream: resume at the stored position and hand posts to the lake in batches.

A thread reads the stream into a short queue. The main thread takes from it and stores what came
within a moment, together with the stream's cursor, in one transaction. What a stream repeats is
taken once. While the lake is busy (another process writes to it), the queue fills, and the server
has to wait. Lost connections are opened again after a pause that doubles, with some chance in it so
that many followers do not come back at once. If a stream may have left something out, the gap is
stored and reported.

Not here: the protocols (`streams/jetstream.py`, `streams/mastodon.py`) and the tables that hold
what came (`streams/inbox.py`).
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
from rookery.core.context import Context, Task
from rookery.core.digest import digest_value
from rookery.core.errors import BusyError
from rookery.core.home import Home
from rookery.core.locks import exclusive
from rookery.posts.live import live_log
from rookery.posts.streams.connection import Disconnected, Stream
from rookery.posts.streams.inbox import Gap, Inbox, StreamMessage, flush_to_lake
from rookery.posts.streams.open import open_stream

QUEUE_MESSAGES = 2_000
BATCH_MESSAGES = 2_000
BATCH_SECONDS = 0.2
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 60.0
WAITING_POSTS = 50_000
"""How many posts may wait for the lake before the stream is read no further."""


@dataclass(frozen=True)
class Limits:
    """The limits of one following.

    It hands over to the lake after `lake_posts` or `lake_seconds`, and ends after `seconds` or
    `posts`; None: it ends when it is interrupted.
    """

    lake_posts: int = 20_000
    lake_seconds: float = 30.0
    seconds: float | None = None
    posts: int | None = None


@dataclass
class FollowReport:
    """A count of what a stream brought.

    added, edited, already_there: what the lake did with it. waiting: posts that it has not taken
    over yet.
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
        """Return the report as JSON values, without counts of 0."""
        plain = to_plain(self)
        return plain | {
            name: {k: n for k, n in plain[name].items() if n} for name in ("events", "set_aside")
        }


def follow(
    home: Home,
    stream: Stream | str,
    context: Context = Context(),
    limits: Limits = Limits(),
    random: Random | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> FollowReport:
    """Follow a stream, or the one at an address, until a limit is reached or Ctrl-C is pressed.

    All that came by then is stored. Raises `UsageError` if another process follows it for this
    home, or the server refuses and would refuse again.
    """
    if isinstance(stream, str):
        stream = open_stream(stream, context.clock)
    lock = home.path / f"follow-{digest_value(stream.name)[:16]}.lock"
    with exclusive(lock, f"the stream {stream.name}"), live_log(home) as log:
        following = _Following(home, stream, context, limits, Inbox(log))
        with context.progress.task(f"following {stream.name}", None, "messages") as task:
            with contextlib.suppress(KeyboardInterrupt):
                following.run(task, random or Random(), pause)
            following.flush_to_lake(is_last=True)
        return following.finished_report()


class _Following:
    """One following of a stream: its counts and its clocks."""

    def __init__(self, home: Home, stream: Stream, context: Context, limits: Limits, inbox: Inbox):
        self._home, self._stream, self._context, self._limits = home, stream, context, limits
        self._inbox = inbox
        self._clock = context.clock
        self._began = self._handed_over = self._clock.monotonic_seconds()
        self._waiting = inbox.waiting()
        self.report = FollowReport(stream.name)

    def run(self, task: Task, random: Random, pause: Callable[[float], None]) -> None:
        """Connect, read, and connect again, until a limit is reached."""
        pause_seconds = FIRST_PAUSE_SECONDS
        while not self._is_over():
            try:
                for messages in self._connection():
                    self._take(messages, task)
                    if messages:
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
        """Yield what one connection brings in batches, at least one every `BATCH_SECONDS`.

        A batch is empty if nothing came, so that the caller can look at its clocks.
        """
        reader = _Reader(self._stream, self._inbox.position(self._stream.name))
        try:
            while True:
                yield reader.batch()
                while self._waiting >= WAITING_POSTS and not self._is_over():
                    self.flush_to_lake()
                    time.sleep(BATCH_SECONDS)
        finally:
            reader.stop()

    def _take(self, messages: list[StreamMessage], task: Task) -> None:
        if messages:
            unknown = self._inbox.store(self._stream.name, messages, self._clock)
            self._count(messages, unknown)
            task.advance(len(messages), self._progress_note(messages))
        is_time = self._clock.monotonic_seconds() - self._handed_over >= self._limits.lake_seconds
        if self._waiting and (is_time or self._waiting >= self._limits.lake_posts):
            self.flush_to_lake()

    def _count(self, messages: list[StreamMessage], unknown: int) -> None:
        report = self.report
        report.messages += len(messages)
        posts = sum(len(message.posts) for message in messages)
        report.posts += posts
        self._waiting += posts
        report.events.update(event.kind for message in messages for event in message.events)
        report.events.update(
            {"forget_post": sum(len(message.deleted) for message in messages) - unknown}
        )
        report.set_aside.update(message.set_aside for message in messages if message.set_aside)
        report.set_aside.update({"deletion_of_an_unknown_post": unknown})
        report.gaps += [message.gap for message in messages if message.gap]

    def flush_to_lake(self, is_last: bool = False) -> None:
        """Bring what waits into the lake, unless another process is writing to it."""
        self._handed_over = self._clock.monotonic_seconds()
        with contextlib.suppress(BusyError):
            while taken := flush_to_lake(self._home, self._context):
                self.report.added += taken.added
                self.report.edited += taken.edited
                self.report.already_there += taken.already_there
        self._waiting = self._inbox.waiting()
        if is_last and self._waiting:
            self._context.progress.say(
                f"{self._waiting:,} posts wait for the lake: another process is writing to it"
            )

    def finished_report(self) -> FollowReport:
        """Return the report with its last counts."""
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

    def _progress_note(self, messages: list[StreamMessage]) -> str:
        """Return the rate, and how far the stream is read behind the present."""
        seconds = max(self._clock.monotonic_seconds() - self._began, 1e-9)
        times = [message.time for message in messages if message.time]
        behind = (
            f", {(self._clock.now() - times[-1]).total_seconds():,.0f} s behind" if times else ""
        )
        return f"{self.report.messages / seconds:,.0f}/s{behind}"


class _Reader:
    """A thread that reads one connection into a queue which holds it back when it is full."""

    def __init__(self, stream: Stream, position: str | None):
        self._queue: queue.Queue[StreamMessage | Exception] = queue.Queue(QUEUE_MESSAGES)
        self._stopped = threading.Event()
        self._ended: Exception | None = None
        self._thread = threading.Thread(target=self._read, args=(stream, position), daemon=True)
        self._thread.start()

    def batch(self) -> list[StreamMessage]:
        """Return what came within `BATCH_SECONDS`.

        Raises the error that ended the connection when all before it is taken.
        """
        if self._ended is not None:
            raise self._ended
        messages: list[StreamMessage] = []
        deadline = time.monotonic() + BATCH_SECONDS
        while len(messages) < BATCH_MESSAGES:
            try:
                item = self._queue.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                break
            if isinstance(item, Exception):
                self._ended = item
                break
            messages.append(item)
        return messages

    def stop(self) -> None:
        """Read no further.

        The thread ends with its next message. What it still holds is not lost: the stored position
        is before it.
        """
        self._stopped.set()

    def _read(self, stream: Stream, position: str | None) -> None:
        try:
            for message in stream.messages(position):
                if not self._put(message):
                    return
        except Exception as error:
            self._put(error)

    def _put(self, item: StreamMessage | Exception) -> bool:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=BATCH_SECONDS)
                return True
        return False
