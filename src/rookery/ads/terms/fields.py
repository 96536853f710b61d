"""Fields: how each is written in a file or a request, and what is allowed there.

A reader takes what TOML, JSON or a cell of a table holds, and returns the value of an object of
`objects.py`, or raises `ValueError` with what the field must be. A cell holds text alone: lists are
then separated by semicolons or line ends. `written` is the other way round.

Not here: files (`files.py`), and whether objects fit together (`merging.py`).
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from iso4217 import Currency

from rookery.ads.terms.money import MICROS, to_micros
from rookery.ads.terms.objects import (
    DEVICES,
    LEVELS,
    MATCHES,
    PAYMENTS,
    STRATEGIES,
    Cap,
    Keyword,
)

Reader = Callable[[Any], Any]
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_HOURS = 24


def name_id(value: Any) -> str:
    """Read an id."""
    return _matching(r"[a-z0-9][a-z0-9._-]{0,63}", _ID)(value)


_ID = "must be up to 64 small letters, digits, dots and hyphens"


def line(longest: int) -> Reader:
    """Return a reader of one line of text."""

    def read(value: Any) -> str:
        text = " ".join(value.split()) if isinstance(value, str) else ""
        if not 0 < len(text) <= longest or not text.isprintable():
            raise ValueError(f"must be one line of 1 to {longest} characters")
        return text

    return read


def url(value: Any) -> str:
    """Read a web address."""
    must = "must be a web address that begins with https:// or http://"
    if not isinstance(value, str) or len(value) > 2_000:
        raise ValueError(must)
    text = value.strip()
    if not text.isprintable() or re.search(r"[\s\\]", text):
        raise ValueError(must)
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(must)
    return text


def money(value: Any) -> int:
    """Read an amount in the home's currency as micros."""
    must = "must be an amount such as 0.25"
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError(must)
    try:
        return to_micros(Decimal(value.strip()) if isinstance(value, str) else value)
    except InvalidOperation:
        raise ValueError(must) from None


def currency(value: Any) -> str:
    """Read a currency by its three letters (ISO 4217)."""
    must = 'must be a currency by its three letters, such as "EUR"'
    code = _matching(r"[A-Z]{3}", must)(value)
    if code not in {one.code for one in Currency}:
        raise ValueError(must)
    return code


def zone(value: Any) -> str:
    """Read the name of a time zone."""
    must = 'must be a time zone such as "Europe/Berlin"'
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_+/-]{1,64}", value):
        raise ValueError(must)
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(must) from None
    return value


@dataclass(frozen=True)
class Moment:
    """A time as it is written; one without a zone is in the campaign's."""

    written: datetime

    def seconds_in(self, zone: str) -> int:
        """Return it as seconds since 1970."""
        here = self.written if self.written.tzinfo else self.written.replace(tzinfo=ZoneInfo(zone))
        return int(here.timestamp())


def moment(value: Any) -> Moment:
    """Read a date or a time."""
    must = "must be a date or a time, such as 2026-01-31 or 2026-01-31T08:00"
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(must) from None
    if isinstance(value, datetime):
        return Moment(value)
    if isinstance(value, date):
        return Moment(datetime.combine(value, time()))
    raise ValueError(must)


def yes_or_no(value: Any) -> bool:
    """Read whether something holds."""
    if isinstance(value, str) and value.strip().lower() in ("true", "yes", "1"):
        return True
    if isinstance(value, str) and value.strip().lower() in ("false", "no", "0"):
        return False
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def one_of(words: tuple[str, ...]) -> Reader:
    """Return a reader of one of some words."""

    def read(value: Any) -> str:
        text = value.strip().lower() if isinstance(value, str) else ""
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return read


def list_of(read_one: Reader) -> Reader:
    """Return a reader of a list without repetitions."""

    def read(value: Any) -> tuple[Any, ...]:
        if isinstance(value, str):
            value = _parts_of(value.strip())
        if not isinstance(value, list):
            raise ValueError('must be a list, such as ["one", "two"]')
        return tuple(dict.fromkeys(read_one(item) for item in value))

    return read


def _parts_of(cell: str) -> Any:
    """Return the items of a cell: a list of JSON, or texts between semicolons or line ends."""
    if cell.startswith("["):
        try:
            return json.loads(cell)
        except ValueError:
            raise ValueError("is no list of JSON") from None
    return [part.strip() for part in re.split(r"[;\n]", cell) if part.strip()]


def keyword(value: Any) -> Keyword:
    """Read a keyword: a text, a text with its match kind before it, or a table of both.

    >>> keyword("old harbour"), keyword("exact: tea")
    (Keyword(text='old harbour', match='phrase'), Keyword(text='tea', match='exact'))
    """
    match: Any = "phrase"
    if isinstance(value, Mapping):
        unknown = set(value) - {"text", "match"}
        if unknown or "text" not in value:
            raise ValueError("must have text and match, and nothing else")
        value, match = value["text"], value.get("match", match)
    elif isinstance(value, str):
        head, colon, rest = value.partition(":")
        if colon and head.strip().lower() in MATCHES:
            value, match = rest, head
    text = line(60)(value)
    if not re.search(r"\w", text):
        raise ValueError("must be words or phrases")
    return Keyword(text, one_of(MATCHES)(match))


def language(value: Any) -> str:
    """Read the code of a language."""
    text = value.strip() if isinstance(value, str) else value
    return _matching(r"[a-z]{2,3}", 'must be language codes in small letters, such as "en"')(text)


def country(value: Any) -> str:
    """Read the code of a country."""
    text = value.strip() if isinstance(value, str) else value
    return _matching(r"[A-Z]{2}", 'must be countries by two capital letters, such as "DE"')(text)


def hours(value: Any) -> tuple[int, ...]:
    """Read hours of the week: days and hours, such as "mon-fri 8-20", as numbers from Monday 0:00.

    >>> hours(["sat 22-24", "sun 0-1"])
    (142, 143, 144)
    """
    found = (hour for part in list_of(line(40))(value) for hour in _hours_of(part))
    return tuple(sorted(set(found)))


def _hours_of(text: str) -> list[int]:
    found = re.fullmatch(r"([a-z]{3})(?:-([a-z]{3}))?(?:\s+(\d{1,2})-(\d{1,2}))?", text.lower())
    must = 'must be days and hours, such as "mon-fri 8-20"'
    if found is None or not {found[1], found[2] or found[1]} <= set(_DAYS):
        raise ValueError(must)
    first, last = _DAYS.index(found[1]), _DAYS.index(found[2] or found[1])
    start, end = int(found[3] or 0), int(found[4] or _DAY_HOURS)
    if first > last or not start < end <= _DAY_HOURS:
        raise ValueError(must)
    return [d * _DAY_HOURS + h for d in range(first, last + 1) for h in range(start, end)]


def cap(value: Any) -> Cap:
    """Read a cap, such as "3 views of campaign in 24 hours", or a table of its fields."""
    must = 'must be such as "3 views of campaign in 24 hours"'
    if isinstance(value, Mapping):
        if set(value) != {"level", "views", "hours"}:
            raise ValueError("must have level, views and hours")
        value = f"{value['views']} views of {value['level']} in {value['hours']} hours"
    found = re.fullmatch(
        rf"(\d{{1,4}}) views? of ({'|'.join(LEVELS)}) in (\d{{1,4}}) hours?",
        " ".join(value.lower().split()) if isinstance(value, str) else "",
    )
    if found is None or not int(found[1]) or not int(found[3]):
        raise ValueError(must)
    level: Any = found[2]
    return Cap(level, int(found[1]), int(found[3]) * 3_600)


def _matching(pattern: str, must: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(must)
        return value

    return read


@dataclass(frozen=True)
class AdField:
    """A field of a kind of object. is_needed: whether a new object must have it."""

    read: Reader
    is_needed: bool = False


KINDS: dict[str, dict[str, AdField]] = {
    "advertiser": {"id": AdField(name_id, True), "name": AdField(line(80), True)},
    "funding": {
        "id": AdField(name_id, True),
        "advertiser": AdField(name_id, True),
        "budget": AdField(money, True),
    },
    "campaign": {
        "id": AdField(name_id, True),
        "advertiser": AdField(name_id, True),
        "budget": AdField(money, True),
        "daily_budget": AdField(money),
        "funding": AdField(name_id),
        "zone": AdField(zone),
        "start": AdField(moment),
        "end": AdField(moment),
        "pays_for": AdField(one_of(PAYMENTS)),
        "caps": AdField(list_of(cap)),
        "paused": AdField(yes_or_no),
    },
    "group": {
        "id": AdField(name_id, True),
        "campaign": AdField(name_id, True),
        "bid": AdField(money, True),
        "strategy": AdField(one_of(STRATEGIES)),
        "keywords": AdField(list_of(keyword)),
        "excluded": AdField(list_of(keyword)),
        "meaning": AdField(list_of(line(200))),
        "languages": AdField(list_of(language)),
        "hours": AdField(hours),
        "countries": AdField(list_of(country)),
        "devices": AdField(list_of(one_of(DEVICES))),
        "paused": AdField(yes_or_no),
    },
    "ad": {
        "id": AdField(name_id, True),
        "group": AdField(name_id, True),
        "title": AdField(line(80), True),
        "body": AdField(line(200), True),
        "url": AdField(url, True),
        "paused": AdField(yes_or_no),
    },
}
"""The fields of each kind of object, in the order in which they are written."""


# The other way round
# -------------------------------------------------------------------------------------------------


def written_money(micros: int) -> Decimal:
    """Return an amount as it is written, with no digit lost.

    >>> written_money(250_000)
    Decimal('0.25')
    """
    amount = (Decimal(micros) / MICROS).normalize()
    return amount.quantize(Decimal(1)) if amount == amount.to_integral() else amount


def written_keyword(one: Keyword) -> str:
    """Return a keyword as text.

    >>> written_keyword(Keyword("tea", "exact")), written_keyword(Keyword("exact: tea"))
    ('exact: tea', 'phrase: exact: tea')
    """
    head, colon, _ = one.text.partition(":")
    looks_marked = bool(colon) and head.strip().lower() in MATCHES
    return one.text if one.match == "phrase" and not looks_marked else f"{one.match}: {one.text}"


def written_moment(seconds: int) -> str:
    """Return a time, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def written_hours(week: tuple[int, ...]) -> list[str]:
    """Return hours of the week as text, one line for each stretch of a day.

    >>> written_hours((142, 143, 144))
    ['sat 22-24', 'sun 0-1']
    """
    lines: list[str] = []
    for day, name in enumerate(_DAYS):
        of_day = [hour - day * _DAY_HOURS for hour in week if hour // _DAY_HOURS == day]
        start: int | None = None
        for hour in range(_DAY_HOURS + 1):
            if hour in of_day and start is None:
                start = hour
            elif hour not in of_day and start is not None:
                lines.append(f"{name} {start}-{hour}")
                start = None
    return lines


def written_cap(one: Cap) -> str:
    """Return a cap as text."""
    return f"{one.views} views of {one.level} in {one.window_seconds // 3_600} hours"
