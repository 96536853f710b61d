"""Columns of times: one reading for a column, decided by all of its values.

A column holds either numbers (seconds, or thousandths, millionths, billionths of one, since 1970)
or dates (ISO 8601, numbers between slashes, dots or dashes, names of months as in RFC 2822). What a
single value leaves open, the unit of a number and whether 5/1/2020 is in May or in January, is
decided by the column; where all values fit both orders, the person is asked. A value that does not
fit the column's reading is no time. A time without a zone is UTC.

`TimesJudge` looks at all values of a column, batch by batch, and returns a `TimeReading`, which
turns the column into times. Single values of sources that have one format are read in `values.py`.
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.posts.sources.dates import (
    DATE_ORDERS,
    NAMED_MONTH,
    DateOrder,
    day_of,
    parse_date,
)
from rookery.posts.sources.tables.missing import without_missing

Unit = Literal["seconds", "milliseconds", "microseconds", "nanoseconds"]
UNITS: tuple[Unit, ...] = get_args(Unit)

MICROS = pa.timestamp("us", tz="UTC")
LEAST_SECONDS = 1e8
"""The least number that counts as seconds since 1970 (in 1973), and a thousand times as much is the
least that counts as milliseconds, and so on.
"""
LEAST_DIGITS = 7
"""The digits that the longest number in scientific notation must have: with fewer, a spreadsheet
has rounded the times away.
"""
SHOWN = 3
_NUMBERS, _BOTH = "day, month and year as numbers", "both"

_ISO = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)? ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)?)?$"
)
_COMPACT = (
    r"^(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])"
    r"(([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9])?$"
)
_NUMBER = r"^[0-9]{1,24}(\.[0-9]{0,24})?([eE][+]?[0-9]{1,2})?$"
_NUMERIC_DATE = r"^(?P<date>[0-9]{1,4}[/.-][0-9]{1,2}[/.-][0-9]{1,4})\.?(?:$|[ ,T])"
_EARLIER = (
    r"^([A-Z][a-z]{2} [A-Z][a-z]{2} [0-9]{2} [0-9:]{8} [+-][0-9]{4} [0-9]{4}"
    r"|[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} [+-][0-9]{4}"
    r"|[0-9]{1,2}/[0-9]{1,2}/[0-9]{4} [0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2})?)$"
)
"""The dates, apart from ISO 8601, that releases before the judging of columns read."""
_EXPORT_AS_TEXT = "Export the column as text, or from the place where the numbers are whole"
_GIVE_DATES = "Give --dates day-first or --dates month-first"


@dataclass(frozen=True)
class TimeReading:
    """The decision how a column of times is read.

    how, why: the decision and its reason, in words. unit: of numbers; None for dates. order: of
    dates that are numbers. refusal, hint: why the column cannot be read, and what would help.
    is_new: whether releases before the judging of columns could not read it so.
    """

    how: str
    why: str
    unit: Unit | None = None
    order: DateOrder | None = None
    refusal: str | None = None
    hint: str | None = None
    is_new: bool = False

    def read(self, column: pa.Array) -> pa.Array:
        """Return a column as UTC microseconds, null where a value is no time."""
        kind = column.type
        if pa.types.is_timestamp(kind):
            return column.cast(pa.timestamp("us", tz=kind.tz), safe=False).cast(MICROS)
        if pa.types.is_date(kind):
            return column.cast(pa.timestamp("us")).cast(MICROS)
        if self.unit is not None:
            return _numbers(column, self.unit)
        return _dates(without_missing(column), self.order)


class TimesJudge:
    """The values of a column so far: how many are of which form, and which orders the dates fit."""

    def __init__(self) -> None:
        self._values = 0
        self._forms: Counter[str] = Counter()
        self._units: Counter[Unit] = Counter()
        self._orders: Counter[DateOrder] = Counter()
        self._shown: dict[str, list[str]] = {name: [] for name in (*DATE_ORDERS, _BOTH)}
        self._rounded: list[str] = []
        self._longest_rounded = 0
        self._is_typed = False
        self._earlier = 0

    def look(self, column: pa.Array) -> None:
        """Look at the next batch of the column."""
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            self._is_typed = True
        elif _counts_since_1970(column):
            self._look_at_numbers(column.cast(pa.float64(), safe=False).drop_null())
        else:
            self._look_at_texts(without_missing(column).drop_null())

    def reading(self, asked: DateOrder | None = None) -> TimeReading:
        """Return the reading that the values seen decide; `asked` is the person's own word."""
        if self._is_typed:
            return TimeReading("times", "the file gives the column this type")
        if self._units.total() > self._forms.total():
            return self._number_reading()
        return self._date_reading(asked)

    def _look_at_texts(self, left: pa.Array) -> None:
        self._values += len(left)
        for form, pattern in (("ISO 8601", _ISO), ("YYYYMMDD", _COMPACT)):
            left = self._without(left, form, pattern)
        if not len(left):
            return
        numbers, left = _split(left, _NUMBER)
        if len(numbers):
            self._values -= len(numbers)  # which the next line counts again
            self._look_at_numbers(numbers.cast(pa.float64()))
            self._look_at_notation(numbers)
        if len(left):
            self._earlier += _matching(left, _EARLIER)
            dates, left = _split(left, _NUMERIC_DATE)
            self._look_at_dates(dates)
            self._without(left, "month by name", NAMED_MONTH)

    def _without(self, values: pa.Array, form: str, pattern: str) -> pa.Array:
        """Count the values of a form, and return the others."""
        if not len(values):
            return values
        found, left = _split(values, pattern)
        if len(found):
            self._forms[form] += len(found)
        return left

    def _look_at_numbers(self, numbers: pa.Array) -> None:
        values = numbers.to_numpy(zero_copy_only=False)
        values = values[np.isfinite(values)]
        self._values += len(values)
        for place, unit in enumerate(UNITS):
            least = LEAST_SECONDS * 1000.0**place
            if found := int(((values >= least) & (values < least * 1000)).sum()):
                self._units[unit] += found

    def _look_at_notation(self, numbers: pa.Array) -> None:
        """Note the numbers in scientific notation, and how many digits the longest one kept."""
        rounded, _ = _split(numbers, "[eE]")
        for text in rounded.to_pylist():
            digits = re.split("[eE]", text)[0].replace(".", "")
            self._longest_rounded = max(self._longest_rounded, len(digits))
            if len(self._rounded) < SHOWN and text not in self._rounded:
                self._rounded.append(text)

    def _look_at_dates(self, values: pa.Array) -> None:
        """Count the orders that the dates fit, by the day: a column has few different ones."""
        if not len(values):
            return
        days = pc.struct_field(pc.extract_regex(values, _NUMERIC_DATE), "date")
        for found in days.value_counts().to_pylist():
            self._look_at_day(found["values"], found["counts"])

    def _look_at_day(self, day: str, count: int) -> None:
        a, b, c = re.split("[/.-]", day)
        if len(a) == 4:
            if day_of(a, b, c):
                self._forms["year first"] += count
            return
        fitting = [
            order
            for order, (d, m) in zip(DATE_ORDERS, ((a, b), (b, a)), strict=True)
            if day_of(c, m, d)
        ]
        if not fitting:
            return
        self._forms[_NUMBERS] += count
        self._orders.update(dict.fromkeys(fitting, count))
        kind = fitting[0] if len(fitting) == 1 else _BOTH
        is_telling = kind != _BOTH or int(a) != int(b)
        if is_telling and len(self._shown[kind]) < SHOWN:
            self._shown[kind].append(day)

    def _number_reading(self) -> TimeReading:
        unit, count = self._units.most_common(1)[0]
        refusal = None
        if self._rounded and self._longest_rounded < LEAST_DIGITS:
            shown = " and ".join(map(repr, self._rounded[:2]))
            refusal = f"holds times that scientific notation has rounded: {shown}"
        return TimeReading(
            f"{unit} since 1970",
            f"{self._share(count)} are of that size",
            unit,
            refusal=refusal,
            hint=refusal and _EXPORT_AS_TEXT,
            is_new=unit == "nanoseconds" or bool(self._rounded),
        )

    def _date_reading(self, asked: DateOrder | None) -> TimeReading:
        forms = ", ".join(form for form, _ in self._forms.most_common())
        dates = self._forms.total()
        why = f"{self._share(dates)} have this form" if dates else "no value is a time"
        is_new = dates > self._forms["ISO 8601"] + self._earlier
        if not self._forms[_NUMBERS]:
            return TimeReading(forms or "dates", why, is_new=is_new)
        order, reason, refusal = self._order(asked)
        return TimeReading(
            f"{forms}, {order}" if order else forms,
            f"{why}; {reason}",
            order=order,
            refusal=refusal,
            hint=refusal and _GIVE_DATES,
            is_new=is_new or order == "day-first",
        )

    def _order(self, asked: DateOrder | None) -> tuple[DateOrder | None, str, str | None]:
        """Return the order of day and month, why, and the refusal if it is not decided."""
        if asked is not None:
            return asked, f"as --dates {asked} says", None
        fitting = [order for order in DATE_ORDERS if self._orders[order] == self._forms[_NUMBERS]]
        if len(fitting) == 1:
            return fitting[0], f"{self._shown[fitting[0]][0]!r} fits no other order", None
        if fitting and not self._shown[_BOTH]:
            return "month-first", "day and month are equal in all of them", None
        if fitting:
            shown = " and ".join(map(repr, self._shown[_BOTH][:2]))
            return None, "", f"holds dates that fit day first and month first: {shown}"
        a, b = (self._shown[order][0] for order in DATE_ORDERS)
        return None, "", f"holds dates in both orders: {a!r} and {b!r}"

    def _share(self, count: int) -> str:
        return (
            f"all {count:,} values" if count == self._values else f"{count:,} of {self._values:,}"
        )


def _counts_since_1970(column: pa.Array) -> bool:
    """Return whether a column holds numbers, and not days written as numbers (20200131)."""
    if pa.types.is_floating(column.type):
        return True
    if not pa.types.is_integer(column.type):
        return False
    ends = pc.min_max(column).as_py()
    if ends["max"] is None:
        return True
    is_day = ends["max"] < LEAST_SECONDS
    return not is_day and not (19e12 <= ends["min"] and ends["max"] < 21e12)


def _split(values: pa.Array, pattern: str) -> tuple[pa.Array, pa.Array]:
    """Return the values that match a pattern, and the others."""
    found = pc.match_substring_regex(values, pattern)
    if pc.all(found).as_py():
        return values, values.slice(0, 0)
    return values.filter(found), values.filter(pc.invert(found))


def _matching(values: pa.Array, pattern: str) -> int:
    return pc.sum(pc.match_substring_regex(values, pattern)).as_py() or 0


def _numbers(column: pa.Array, unit: Unit) -> pa.Array:
    """Return numbers since 1970 as times, null for what is none or of another size."""
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        texts = without_missing(column)
        is_number = pc.fill_null(pc.match_substring_regex(texts, _NUMBER), False)
        texts = pc.if_else(is_number, texts, None)
        whole = pc.match_substring_regex(texts, r"^[0-9]{1,18}$")
        column = texts.cast(pa.int64() if pc.all(whole).as_py() else pa.float64())
    place = UNITS.index(unit)
    least, size = LEAST_SECONDS * 1000**place, column.cast(pa.float64(), safe=False)
    fits = pc.and_(pc.greater_equal(size, least), pc.less(size, least * 1000))
    column = pc.if_else(pc.fill_null(fits, False), column, None)
    if pa.types.is_integer(column.type):
        column = column.cast(pa.int64())
        micros = (
            pc.divide(column, 1000)
            if unit == "nanoseconds"
            else pc.multiply(column, 1000 ** (2 - place))
        )
    else:
        factor = 10.0 ** (6 - 3 * place)
        micros = pc.round(pc.multiply(column.cast(pa.float64()), factor)).cast(pa.int64())
    return micros.cast(MICROS)


def _dates(texts: pa.Array, order: DateOrder | None) -> pa.Array:
    """Return dates as times: those of one plain form at once, the others one by one."""
    if (times := _plain(texts)) is not None:
        return times
    encoded = texts.dictionary_encode()  # many rows share their second
    times = [text and parse_date(text, order) for text in encoded.dictionary.to_pylist()]
    return pa.array([time or None for time in times], MICROS).take(encoded.indices)


def _plain(texts: pa.Array) -> pa.Array | None:
    """Return times that are all in ISO 8601, all with a zone or all without; None for others."""
    for kind in (pa.timestamp("us"), MICROS):
        try:
            return texts.cast(kind).cast(MICROS)
        except pa.ArrowInvalid:
            continue
    return None
