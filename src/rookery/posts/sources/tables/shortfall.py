"""The check that a table was understood: under half of its rows taken means that it was not.

A wrong column of times, or a wrong mapping, sets nearly every row aside, each with a good reason;
the file as a whole is then refused. Reposts do not count: they were understood.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rookery.core.errors import DataError
from rookery.posts.event import Event
from rookery.posts.sources.files import SetAside
from rookery.posts.sources.tables.rows import REPOST, WRONG_FIELD

SHOWN = 3


@dataclass
class RowTally:
    """What became of the rows of one file so far.

    refused: rows set aside, by reason. values: for each reason, a few of the wrong values; where
    there is none, the places.
    """

    path: Path
    taken: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    values: dict[str, list[str]] = field(default_factory=dict)

    def count(self, taken: int, beside: Iterable[SetAside | Event]) -> None:
        """Count rows that were taken, and rows that were set aside."""
        self.taken += taken
        for item in beside:
            if isinstance(item, SetAside):
                self.refused[item.reason] += 1
                shown = self.values.setdefault(item.reason, [])
                if len(shown) < SHOWN and (value := _wrong_value(item)) not in shown:
                    shown.append(value)

    @property
    def rows(self) -> int:
        """Return how many rows were counted."""
        return self.taken + self.refused.total()

    def end(self) -> None:
        """Raise `DataError` if under half of the rows were taken."""
        if (error := self.shortfall()) is not None:
            raise error

    def shortfall(self) -> DataError | None:
        """Return the error if under half of the rows were taken, reposts left out."""
        judged = self.rows - self.refused[REPOST]
        if self.taken * 2 >= judged:
            return None
        faults = Counter({why: n for why, n in self.refused.items() if why != REPOST})
        reason, count = faults.most_common(1)[0]
        shown = ", ".join(self.values[reason])
        return DataError(
            f"only {self.taken:,} of {judged:,} rows would be taken; "
            f"{count:,} are refused as {reason}: {shown}",
            where=self.path,
            hint="`rookery posts look FILE` shows how each column is read; --anyway takes the rest",
        )


def _wrong_value(item: SetAside) -> str:
    value: Any = None
    if isinstance(item.row, dict):
        value = item.row.get(WRONG_FIELD.get(item.reason, ""))
    return item.where if value is None or str(value).strip() == "" else repr(str(value)[:80])
