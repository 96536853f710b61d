"""The judgement of a table: how each column is read, decided before a row is taken.

All values decide. The file is read once for this, and of it only the columns that need a decision:
ids, times, and who may read. What each decision is, and why, is shown by `rookery posts look`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from rookery.core.errors import DataError, UsageError
from rookery.posts.post import Visibility
from rookery.posts.sources.dates import DateOrder
from rookery.posts.sources.tables import columns as table_columns
from rookery.posts.sources.tables.columns import TableColumns
from rookery.posts.sources.tables.ids import IdReading, IdsJudge
from rookery.posts.sources.tables.readers import check_plain, columns_of, read_raw
from rookery.posts.sources.tables.times import TimeReading, TimesJudge
from rookery.posts.sources.tables.visibility import (
    VisibilityJudge,
    VisibilityReading,
    what_it_says,
)

ID_FIELDS = ("id", "author", "reply_to", "quote_of", "conversation", "version_of")
TIME_FIELDS = ("created", "edited")


@dataclass(frozen=True)
class TableOptions:
    """What a person says about a table.

    mapping: the column of each field; who gives it vouches that the posts are public. visibility:
    of posts of which the table says nothing. dates: the order of days and months where the dates
    fit both.
    """

    mapping: Mapping[str, str] | None = None
    visibility: Visibility | None = None
    dates: DateOrder | None = None


class Judge(Protocol):
    """What looks at all values of one column."""

    def look(self, column: pa.Array) -> None:
        """Look at the next batch of the column."""


class Reading(Protocol):
    """The decision how a column is read, and why; or why it cannot be, and what would help."""

    @property
    def how(self) -> str:
        """Return the decision in words."""

    @property
    def why(self) -> str:
        """Return its reason in words."""

    @property
    def refusal(self) -> str | None:
        """Return why the column cannot be read; None if it can."""

    @property
    def hint(self) -> str | None:
        """Return what would help."""


@dataclass(frozen=True)
class Judgement:
    """The columns of a table, and how each is read.

    ids, times: by the field of a post. readers: by the column. otherwise: the visibility of posts
    of which no column says anything.
    """

    columns: TableColumns
    ids: Mapping[str, IdReading]
    times: Mapping[str, TimeReading]
    readers: Mapping[str, VisibilityReading]
    otherwise: Visibility

    @property
    def is_vouched(self) -> bool:
        """Return whether every post has somebody's word on who may read it."""
        return self.otherwise != "unknown" or any(r.decides_all for r in self.readers.values())

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return the field, the column, the reading and its reason for each column read."""
        readings: dict[str, Reading] = {**self.ids, **self.times}
        found = []
        for field, column in self.columns.fields.items():
            reading = readings.get(field)
            found.append((field, column, *(_in_words(reading) if reading else (field, ""))))
        found += [("visibility", name, *_in_words(r)) for name, r in self.readers.items()]
        return found

    def refusals(self, path: Path) -> list[DataError | UsageError]:
        """Return the errors for the columns that cannot be read."""
        fields: dict[str, Reading] = {**self.ids, **self.times}
        readings = [(self.columns.fields[field], reading) for field, reading in fields.items()]
        readings += self.readers.items()
        found: list[DataError | UsageError] = []
        for column, reading in readings:
            if reading.refusal:
                what = f"the column {column!r} {reading.refusal}"
                found.append(DataError(what, where=path, hint=reading.hint))
        return found


def _in_words(reading: Reading) -> tuple[str, str]:
    """Return how a column is read, and why; or that it is refused, and why."""
    return ("refused", reading.refusal) if reading.refusal else (reading.how, reading.why)


def judge(path: Path, options: TableOptions) -> Judgement:
    """Return how a table is read, after looking at all its values.

    Raises `UsageError` or `DataError` for a file that cannot be read to its end, or lacks a column.
    """
    known = columns_of(path)
    while True:
        keys: set[str] = set()
        judged = _judge(path, known, options, keys)
        late = sorted(name for name in keys - set(known) if what_it_says(name))
        if not late:  # only objects of JSON bring columns that the first rows did not have
            return judged
        known = [*known, *late]


def _judge(path: Path, known: list[str], options: TableOptions, keys: set[str]) -> Judgement:
    columns = table_columns.resolve(path, known, options.mapping)
    check_plain(path, columns.fields, columns.readers)
    ids = {field: IdsJudge() for field in ID_FIELDS if field in columns.fields}
    times = {field: TimesJudge() for field in TIME_FIELDS if field in columns.fields}
    readers = {name: VisibilityJudge(says) for name, says in columns.readers.items()}
    judges: list[tuple[str, Judge]] = [(columns.fields[f], judge) for f, judge in ids.items()]
    judges += [(columns.fields[field], judge) for field, judge in times.items()]
    judges += readers.items()
    for raw in read_raw(path, list(dict.fromkeys(name for name, _ in judges)), keys):
        for name, judge in judges:
            judge.look(raw.rows[name])
    return Judgement(
        columns,
        {field: judge.reading() for field, judge in ids.items()},
        {field: judge.reading(options.dates) for field, judge in times.items()},
        {name: judge.reading() for name, judge in readers.items()},
        options.visibility or ("public" if columns.vouched else "unknown"),
    )
