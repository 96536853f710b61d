"""Output for a person or a program: tables, JSON, and progress bars on standard error.

The verbs use it. The packages below report through a `Progress`, which `context` draws.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from rookery.core.context import Clock, Context, SystemClock
from rookery.core.errors import UsageError

WORTH_A_LINE_SECONDS = 2


def show_json(value: Any) -> None:
    """Print a value as one JSON document on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=1, default=str))


def write_page(path: Path, html: str) -> None:
    """Write a page to the file that a person named; raise `UsageError` if it cannot be written."""
    try:
        path.write_text(html, encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise UsageError(f"the page cannot be written: {error.strerror}", where=path) from None


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None
) -> None:
    """Print a table on standard output, with columns of numbers aligned to the right."""
    rows = [[_cell(value) for value in row] for row in rows]
    table = Table(
        *columns, title=title, title_justify="left", header_style="bold", pad_edge=False, box=None
    )
    for column, name in zip(table.columns, columns, strict=True):
        place = columns.index(name)
        numeric = rows and all(
            row[place].replace(",", "").replace(".", "").lstrip("-").isdigit() for row in rows
        )
        column.justify = "right" if numeric else "left"
        column.overflow = "fold"
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def show_facts(facts: Mapping[str, Any], title: str | None = None) -> None:
    """Print names and values on standard output, one pair per line."""
    if title:
        _console().print(title, style="bold", highlight=False, markup=False)
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        print(f"  {name:<{width}}  {_cell(value)}")


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if 0 < abs(value) < 0.001:
            return f"{value:.1g}"
        return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(n)}" for name, n in value.items()) or "none"
    return "" if value is None else str(value)


def _console() -> Console:
    width = None if sys.stdout.isatty() else 120
    return Console(width=width, markup=False, highlight=False)


class DrawnProgress:
    """Progress bars on standard error.

    Where standard error is no terminal, one line is printed when a task ends that took more than
    `WORTH_A_LINE_SECONDS`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._console = Console(stderr=True, markup=False, highlight=False)
        self._drawn: Progress | None = None
        self._depth = 0

    @contextmanager
    def task(
        self, title: str, total: int | None = None, unit: str = ""
    ) -> Iterator["_DrawnTask | _CountedTask"]:
        """Open a task of `total` units (None: unknown), shown until the `with` ends."""
        if not self._console.is_terminal:
            counted, started_seconds = _CountedTask(), self._clock.monotonic_seconds()
            yield counted
            if self._clock.monotonic_seconds() - started_seconds > WORTH_A_LINE_SECONDS:
                self.say(" ".join(f"{title}: {counted.done:,} {unit} {counted.note}".split()))
            return
        drawn = self._start()
        number = drawn.add_task(title, total=total, unit=unit, note="")
        try:
            yield _DrawnTask(drawn, number)
        finally:
            drawn.remove_task(number)
            self._stop()

    def say(self, line: str) -> None:
        """Print one line that stays on the screen."""
        self._console.print(line)

    def _start(self) -> Progress:
        if self._drawn is None:
            self._drawn = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TaskProgressColumn(),
                TextColumn("{task.completed:,.0f} {task.fields[unit]}"),
                TextColumn("{task.fields[note]}"),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._drawn.start()
        self._depth += 1
        return self._drawn

    def _stop(self) -> None:
        self._depth -= 1
        if self._depth == 0 and self._drawn is not None:
            self._drawn.stop()
            self._drawn = None


class _DrawnTask:
    def __init__(self, drawn: Progress, number: TaskID):
        self._drawn, self._number = drawn, number

    def advance(self, n: int = 1, note: str = "") -> None:
        if note:
            self._drawn.update(self._number, advance=n, note=note)
        else:
            self._drawn.update(self._number, advance=n)


class _CountedTask:
    def __init__(self) -> None:
        self.done, self.note = 0, ""

    def advance(self, n: int = 1, note: str = "") -> None:
        self.done += n
        self.note = note or self.note


def context() -> Context:
    """Return a context with the system clock and with progress bars on standard error."""
    clock = SystemClock()
    return Context(clock, DrawnProgress(clock))
