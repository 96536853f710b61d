"""What a stage may use of the outside world: the clock, and a way to show progress.

Both are arguments everywhere, so that a test can fix the time and a program can stay silent. The
command line passes a progress bar; the silent display is here.
"""

import time
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of the time."""

    def now(self) -> datetime:
        """Return the wall-clock time in UTC."""

    def monotonic_seconds(self) -> float:
        """Return the seconds since some fixed moment; the value never decreases."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_seconds(self) -> float:
        return time.monotonic()


@dataclass
class FixedClock:
    """A clock that only moves when it is set: the twin for tests and simulations."""

    time: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    elapsed_seconds: float = 0.0

    def now(self) -> datetime:
        return self.time

    def monotonic_seconds(self) -> float:
        return self.elapsed_seconds


class Task(Protocol):
    """A piece of work whose progress is shown."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Report that `n` more units are done; `note` (for example a loss) is shown beside them."""


class Progress(Protocol):
    """A display of how far work has come."""

    def task(
        self, title: str, total: int | None = None, unit: str = ""
    ) -> AbstractContextManager[Task]:
        """Open a task of `total` units (None: unknown)."""

    def say(self, line: str) -> None:
        """Print one line that stays on the screen."""


class _SilentTask:
    def advance(self, n: int = 1, note: str = "") -> None:
        pass


class SilentProgress:
    """A display that shows nothing."""

    @contextmanager
    def task(self, title: str, total: int | None = None, unit: str = ""):
        yield _SilentTask()

    def say(self, line: str) -> None:
        pass


@dataclass(frozen=True)
class Context:
    """The clock and the progress display that a function was given."""

    clock: Clock = field(default_factory=SystemClock)
    progress: Progress = field(default_factory=SilentProgress)
