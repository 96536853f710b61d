"""Look: what an ingest of a file would do, without taking anything.

For a table it shows how each column is read and why; for every format, how many rows would be taken
and why the others would not. It needs no home: whether the lake holds a post already is not asked.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rookery.core.config import to_plain
from rookery.core.errors import RookeryError, UsageError
from rookery.posts.inputs import Bundle, find_inputs
from rookery.posts.sources import formats, tabular
from rookery.posts.sources.bounds import within_bounds
from rookery.posts.sources.files import Read
from rookery.posts.sources.tables.judging import TableOptions
from rookery.posts.sources.tables.shortfall import RowTally


@dataclass(frozen=True)
class ColumnLook:
    """How one column is read: as which field, and why so."""

    field: str
    column: str
    reading: str
    why: str


@dataclass(frozen=True)
class LookReport:
    """What an ingest of one file would do.

    columns: all that a table has, those of `readings` are read. refusals: for each reason, how many
    rows are set aside, and three of the values. visibility: of the posts that would be taken.
    refused: why the whole file would be refused; None if it would not be.
    """

    format: str
    columns: list[str]
    readings: list[ColumnLook]
    rows: int
    taken: int
    visibility: dict[str, int]
    refusals: dict[str, dict[str, Any]]
    notes: list[str]
    refused: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return to_plain(self)


def look(path: Path, options: TableOptions, now: datetime) -> LookReport:
    """Return what an ingest of a file would do.

    Raises `UsageError` or `DataError` where not even the columns can be told.
    """
    inputs, not_read = find_inputs([path], options.mapping, options.visibility == "public")
    if len(inputs) > 1:
        names = ", ".join(one.name for one in inputs[:3])
        hint = f"Look at one of them: {names}"
        raise UsageError(f"there are {len(inputs)} files to look at", where=path, hint=hint)
    notes = [f"not read: {name}" for name in not_read]
    if isinstance(bundle := inputs[0], Bundle):
        name = str(bundle.how["format"])
        notes += filter(None, [bundle.unvouched()])
        return _report(name, [], [], bundle.read(), path, now, notes, None)
    path = bundle  # a folder may hold a single file
    if source := formats.source_to_read(path, options.mapping is not None):
        return _report(formats.name_of(source), [], [], source.read(path), path, now, notes, None)
    table = tabular.open_table(path, options)
    readings = [ColumnLook(*row) for row in table.judgement.rows()]
    refusals = table.judgement.refusals(path)
    notes += filter(None, [table.unvouched()])
    return _report(
        table.kind,
        tabular.columns_of(path),
        readings,
        iter(()) if refusals else table.read(),
        path,
        now,
        notes,
        refusals[0] if refusals else None,
    )


def _report(
    name: str,
    columns: list[str],
    readings: list[ColumnLook],
    read: Read,
    path: Path,
    now: datetime,
    notes: list[str],
    error: RookeryError | None,
) -> LookReport:
    tally = RowTally(path)
    visibility: dict[str, int] = {}
    for batch, beside in within_bounds(read, now):
        tally.count(batch.num_rows, beside)
        for found in batch["visibility"].value_counts().to_pylist():
            visibility[found["values"]] = visibility.get(found["values"], 0) + found["counts"]
    if error is None and readings:
        error = tally.shortfall()
    refusals = {
        reason: {"rows": count, "values": tally.values[reason]}
        for reason, count in tally.refused.most_common()
    }
    refused = error.line() if error else None
    return LookReport(
        name, columns, readings, tally.rows, tally.taken, visibility, refusals, notes, refused
    )
