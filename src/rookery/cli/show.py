"""Showing things to a person or a program: tables, JSON, and a drawn progress display on stderr."""

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
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from rookery.core.context import Clock, Context, SystemClock
from rookery.core.errors import UsageError

WORTH_A_LINE_SECONDS = 2


def show_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=1, default=str))


def write_page(path: Path, html: str) -> None:
    """Write a page where a person asked for it; raises `UsageError` if that is no place for a
    file.
    """
    try:
        path.write_text(html, encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise UsageError(f"the page cannot be written: {error.strerror}", where=path) from None


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None
) -> None:
    """A table on standard output; numbers stand right."""
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
    """Names and values, one a line."""
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
    """Progress bars on standard error; on something that is no terminal, one line when a long task
    ends.
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
    def __init__(self, drawn: Progress, number: Any):
        self._drawn, self._number = drawn, number

    def advance(self, n: int = 1, note: str = "") -> None:
        fields = {"note": note} if note else {}
        self._drawn.update(self._number, advance=n, **fields)


class _CountedTask:
    def __init__(self) -> None:
        self.done, self.note = 0, ""

    def advance(self, n: int = 1, note: str = "") -> None:
        self.done += n
        self.note = note or self.note


def context() -> Context:
    """The system clock and a drawn progress display."""
    clock = SystemClock()
    return Context(clock, DrawnProgress(clock))
