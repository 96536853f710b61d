"""What a stage may use of the outside: the clock, and a way to show progress.

Both are arguments everywhere, so that a test can fix the time and a program can stay silent. The
command line brings a drawn progress bar; the silent one is here.
"""

import time
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The wall-clock time, in UTC."""

    def monotonic_seconds(self) -> float:
        """Seconds since some fixed moment; never runs backwards."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_seconds(self) -> float:
        return time.monotonic()


@dataclass
class FixedClock:
    """A clock that moves only when told: the twin for tests and simulations."""

    time: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    elapsed_seconds: float = 0.0

    def now(self) -> datetime:
        return self.time

    def monotonic_seconds(self) -> float:
        return self.elapsed_seconds


class Task(Protocol):
    """One piece of work whose progress is shown."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """`n` more units are done; `note` (for example a loss) is shown beside them."""


class Progress(Protocol):
    """Shows how far work has come."""

    def task(
        self, title: str, total: int | None = None, unit: str = ""
    ) -> AbstractContextManager[Task]:
        """Open a task of `total` units (None: unknown)."""

    def say(self, line: str) -> None:
        """One line that stays on the screen."""


class _SilentTask:
    def advance(self, n: int = 1, note: str = "") -> None:
        pass


class SilentProgress:
    """Shows nothing."""

    @contextmanager
    def task(self, title: str, total: int | None = None, unit: str = ""):
        yield _SilentTask()

    def say(self, line: str) -> None:
        pass


@dataclass(frozen=True)
class Context:
    """The clock and the progress display that a stage was given."""

    clock: Clock = field(default_factory=SystemClock)
    progress: Progress = field(default_factory=SilentProgress)
