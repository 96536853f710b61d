"""Dates as people and programs write them: ISO 8601, numbers in some order, names of months.

A date of numbers such as 5/1/2020 does not say which of them is the day; the caller does, from what
it knows of the source (`values.py`) or of the whole column (`tables/times.py`). Numbers of seconds
since 1970 are no dates, and are not read here.
"""

import email.utils
import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Literal, get_args

DateOrder = Literal["day-first", "month-first"]
DATE_ORDERS: tuple[DateOrder, ...] = get_args(DateOrder)
LONGEST_CHARACTERS_OF_A_DATE = 80

_CLOCK = (
    r"(?P<h>\d{1,2})(?:[:.](?P<m>\d{2})(?:[:.](?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?)?)?"
    r"(?:\s*(?P<half>[AaPp])\.?\s?[Mm]\.?)?(?:\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?"
)
_NUMERIC_TIME = re.compile(
    rf"(?P<a>\d{{1,4}})([/.-])(?P<b>\d{{1,2}})\2(?P<c>\d{{1,4}})\.?(?:(?:,?\s+|T){_CLOCK})?"
)
_WEEKDAY = r"(?:[A-Za-z]{3,9}\.?,?\s+)?"
_NAMED_TIMES = (
    re.compile(
        rf"{_WEEKDAY}(?P<d>\d{{1,2}})\.?[ -](?P<mon>[A-Za-z]{{3,9}})\.?,?[ -](?P<y>\d{{2}}|\d{{4}})"
        rf"(?:,?\s+(?:at\s+)?{_CLOCK})?"
    ),
    re.compile(
        rf"{_WEEKDAY}(?P<mon>[A-Za-z]{{3,9}})\.?\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+"
        rf"(?P<y>\d{{4}})(?:,?\s+(?:at\s+)?{_CLOCK})?"
    ),
    re.compile(
        rf"{_WEEKDAY}(?P<mon>[A-Za-z]{{3,9}})\s+(?P<d>\d{{1,2}})\s+{_CLOCK}\s+(?P<y>\d{{4}})"
    ),
)
_MONTHS = (
    "january february march april may june july august september october november december"
).split()  # not by `calendar`, whose names are those of the machine's language

NAMED_MONTH = rf"(?i)\b({'|'.join(month[:3] for month in _MONTHS)})[a-z]*\b"
"""A pattern of texts that name a month."""


def parse_date(text: str, order: DateOrder | None = None) -> datetime | None:
    """Return the time that a text gives, in UTC; None if it is no date.

    order: of a date of numbers that does not begin with its year; without it, such a date is none.
    """
    if len(text) > LONGEST_CHARACTERS_OF_A_DATE:
        return None
    try:
        time = _iso(text) or _numeric(text, order) or _named(text)
        return time and (time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC))
    except (ValueError, OverflowError):  # no day of the calendar, or its first one in another zone
        return None


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.removesuffix("UTC").rstrip())
    except ValueError:
        pass
    compact = re.fullmatch(r"\d{14}", text)
    return datetime.strptime(text, "%Y%m%d%H%M%S") if compact else None


def _numeric(text: str, order: DateOrder | None) -> datetime | None:
    if (found := _NUMERIC_TIME.fullmatch(text)) is None:
        return None
    a, b, c = found["a"], found["b"], found["c"]
    if len(a) == 4:
        return _at(day_of(a, b, c), found)
    if order is None:
        return None
    return _at(day_of(c, b, a) if order == "day-first" else day_of(c, a, b), found)


def _named(text: str) -> datetime | None:
    for pattern in _NAMED_TIMES:
        if found := pattern.fullmatch(text):
            name = found["mon"].lower()
            month = next((n for n, full in enumerate(_MONTHS, 1) if full.startswith(name)), 0)
            return _at(day_of(found["y"], str(month), found["d"]), found)
    try:
        return email.utils.parsedate_to_datetime(text) if re.search(NAMED_MONTH, text) else None
    except (ValueError, TypeError, IndexError):
        return None


def day_of(year: str, month: str, day: str) -> date | None:
    """Return a day of the calendar, None if it has none such; a year of two digits is 1969-2068."""
    if len(year) not in (2, 4):
        return None
    number = int(year)
    if len(year) == 2:
        number += 2000 if number < 69 else 1900
    try:
        return date(number, int(month), int(day))
    except ValueError:
        return None


def _at(day: date | None, found: re.Match[str]) -> datetime | None:
    """Return the time of a day that a match of `_CLOCK` gives; its beginning if there is none."""
    if day is None:
        return None
    if found["h"] is None:
        return datetime(day.year, day.month, day.day)
    hour, half = int(found["h"]), (found["half"] or "").lower()
    if not half and found["m"] is None:
        return None
    if half:
        if not 1 <= hour <= 12:
            raise ValueError("an hour of a half day is between 1 and 12")
        hour = hour % 12 + (12 if half == "p" else 0)
    micros = int((found["f"] or "0")[:6].ljust(6, "0"))
    time = datetime(
        day.year, day.month, day.day, hour, int(found["m"] or 0), int(found["s"] or 0), micros
    )
    return time.replace(tzinfo=_zone(found["zone"]))


def _zone(text: str | None) -> timezone:
    if text is None or text in ("Z", "UTC", "GMT"):
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:]) if len(text) > 3 else 0
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)
