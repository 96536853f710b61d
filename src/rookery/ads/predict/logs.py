"""Logs: click logs and logs of choices, read from files as others lay them out.

A layout is known by its columns: those of Avazu's and Criteo's click logs, and of the Open Bandit
Dataset's logs of choices. Files are CSV, plain or gzipped, or Parquet. What is done with a click
log is in `evaluate.py`, with a log of choices in `offpolicy.py`. Not for the ledger's own views
(`learning.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from rookery.ads.predict.features import field_buckets
from rookery.ads.predict.offpolicy import ChoiceLog
from rookery.core.errors import DataError

_AVAZU = (
    "C1 banner_pos site_id site_domain site_category app_id app_domain app_category device_id "
    "device_ip device_model device_type device_conn_type C14 C15 C16 C17 C18 C19 C20 C21"
).split()
_COUNTS, _CATEGORIES = [f"I{n}" for n in range(1, 14)], [f"C{n}" for n in range(1, 27)]
_CHOICES = ("item_id", "position", "click", "propensity_score")
_MISSING = "is missing or no number"


@dataclass(frozen=True)
class ClickLog:
    """A click log: what was around each view, and whether it was clicked.

    buckets: int64 (views, fields). times: int64 (views,), which rises; None if the log tells no
    time, or the same one throughout. fields: each view's values as texts, by the field's name.
    """

    layout: str
    buckets: np.ndarray
    clicked: np.ndarray
    times: np.ndarray | None
    fields: dict[str, pa.Array]


def read_clicks(path: Path) -> ClickLog:
    """Read a click log of any layout that is known; raise `DataError` for any other file."""
    table = _read(path)
    for layout, (columns, read) in _LAYOUTS.items():
        if {"click", *columns} <= set(table.column_names):
            return read(layout, table, path)
    known = "; ".join(
        f"{name} has click, {columns[0]} … {columns[-1]}" for name, (columns, _) in _LAYOUTS.items()
    )
    raise DataError(
        "its columns are those of no known click log", where=path, hint=f"Known layouts: {known}"
    )


def read_choices(path: Path) -> ChoiceLog:
    """Read a log of choices with their propensities, as the Open Bandit Dataset has them."""
    table = _read(path)
    missing = [name for name in _CHOICES if name not in table.column_names]
    if missing:
        raise DataError(
            f"a log of choices has no column {missing[0]}",
            where=path,
            hint=f"It needs {', '.join(_CHOICES)}",
        )
    propensities = _numbers(table, "propensity_score", path)
    wrong = np.flatnonzero(~((propensities > 0) & (propensities <= 1)))
    if len(wrong):
        raise DataError(
            f"propensity_score is {propensities[wrong[0]]:g} in row {wrong[0] + 1}",
            where=path,
            hint="A chance of being chosen is above 0 and at most 1",
        )
    items, positions = (_numbers(table, name, path) for name in _CHOICES[:2])
    return ChoiceLog(
        items.astype(np.int64), positions.astype(np.int64), _clicks(table, path), propensities
    )


def _avazu(layout: str, table: pa.Table, path: Path) -> ClickLog:
    hours = _numbers(table, "hour", path).astype(np.int64)
    order = np.argsort(hours, kind="stable")
    table, hours = table.take(order), hours[order]
    fields = {name: _texts(table, name) for name in _AVAZU}
    fields["hour_of_day"] = pa.array(hours % 100).cast(pa.large_string())
    return _log(layout, table, path, fields, hours if hours[0] != hours[-1] else None)


def _criteo(layout: str, table: pa.Table, path: Path) -> ClickLog:
    fields = {name: _levels(table, name, path) for name in _COUNTS}
    fields |= {name: _texts(table, name) for name in _CATEGORIES}
    return _log(layout, table, path, fields, None)


def _log(
    layout: str,
    table: pa.Table,
    path: Path,
    fields: dict[str, pa.Array],
    times: np.ndarray | None,
) -> ClickLog:
    buckets = np.stack([field_buckets(name, values) for name, values in fields.items()], axis=1)
    return ClickLog(layout, buckets, _clicks(table, path), times, fields)


_LAYOUTS: dict[str, tuple[Sequence[str], Callable[[str, pa.Table, Path], ClickLog]]] = {
    "avazu": (("hour", *_AVAZU), _avazu),
    "criteo": ((*_COUNTS, *_CATEGORIES), _criteo),
}


def _levels(table: pa.Table, name: str, path: Path) -> pa.Array:
    """Return counts as texts: large ones by the square of their logarithm, as is usual for them."""
    counts = pc.fill_null(_as_numbers(table, name, path), np.nan).to_numpy(zero_copy_only=False)
    levels = np.where(counts > 2, 2 + np.floor(np.log(np.maximum(counts, 3)) ** 2), counts)
    return pa.array(levels, from_pandas=True).cast(pa.large_string())


def _texts(table: pa.Table, name: str) -> pa.Array:
    column = table[name].combine_chunks().cast(pa.large_string())
    return pc.if_else(pc.equal(column, ""), None, column)


def _clicks(table: pa.Table, path: Path) -> np.ndarray:
    clicks = _numbers(table, "click", path)
    wrong = np.flatnonzero((clicks != 0) & (clicks != 1))
    if len(wrong):
        what = f"click is {clicks[wrong[0]]:g} in row {wrong[0] + 1}"
        raise DataError(what, where=path, hint="It is 0 or 1")
    return clicks == 1


def _numbers(table: pa.Table, name: str, path: Path) -> np.ndarray:
    """Return a column of numbers, none of them missing."""
    numbers = _as_numbers(table, name, path)
    if numbers.null_count:
        row = int(np.flatnonzero(numbers.is_null().to_numpy(zero_copy_only=False))[0]) + 1
        raise DataError(f"{name} {_MISSING} in row {row}", where=path)
    return numbers.to_numpy(zero_copy_only=False)


def _as_numbers(table: pa.Table, name: str, path: Path) -> pa.Array:
    column = table[name].combine_chunks()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.if_else(pc.equal(column, ""), None, column)
    try:
        return column.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise DataError(f"{name} has a value that is no number", where=path) from None


def _read(path: Path) -> pa.Table:
    """Return a file's rows; a CSV's are all texts, as a category may look like a number."""
    try:
        if path.name.endswith(".parquet"):
            table = pq.read_table(path)
        else:
            table = _read_csv(path)
    except FileNotFoundError:
        raise DataError("there is no such file", where=path) from None
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"it cannot be read: {_first_line(error)}", where=path) from None
    if not len(table):
        raise DataError("it has no rows", where=path)
    return table


def _read_csv(path: Path) -> pa.Table:
    with pa.input_stream(path, compression="detect") as stream:
        names = pacsv.open_csv(stream).schema.names
    as_texts = pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.large_string()))
    newlines = pacsv.ParseOptions(newlines_in_values=True)
    with pa.input_stream(path, compression="detect") as stream:
        return pacsv.read_csv(stream, parse_options=newlines, convert_options=as_texts)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
