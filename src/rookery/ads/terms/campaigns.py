"""Campaigns: what an advertiser asks for, read from a TOML file and checked before it is stored.

    currency = "EUR"                       # one for all campaigns of a home

    [[campaign]]
    id = "harbour-tea"                     # small letters, digits, hyphens
    advertiser = "Harbour Tea House"       # who pays; shown with the ad
    title = "Tea above the old harbour"
    body = "Forty teas, one view. Open until ten."
    url = "https://example.com/tea"        # where a click leads
    bid = 0.25                             # the most that one click may cost
    budget = 50.00                         # the most that the campaign may cost in all
    # from here on each line may be left out
    daily_budget = 5.00                    # the most for one day (UTC), spent evenly over it
    keywords = ["tea", "old harbour"]      # show beside texts with one of these words or phrases
    excluded_words = ["coffee"]            # never beside these
    languages = ["en", "de"]               # only to people who read these
    start = 2026-01-01                     # a date or a time; a time without zone is UTC
    end = 2026-02-01                       # up to here, this moment not included
    views_per_viewer_per_day = 3
    paused = false

Where a campaign may be shown is decided in `eligibility.py` and `relevance.py`, what it pays in
`auction.py`; it is stored by `store.py`.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rookery.ads.terms.money import as_currency, to_micros
from rookery.core.errors import DataError, UsageError


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """One ad and its terms. `start_seconds` and `end_seconds` count from 1970 in UTC."""

    id: str
    advertiser: str
    title: str
    body: str
    url: str
    bid_micros: int
    budget_micros: int
    daily_budget_micros: int | None = None
    keywords: tuple[str, ...] = ()
    excluded_words: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    start_seconds: int | None = None
    end_seconds: int | None = None
    views_per_viewer_per_day: int | None = None
    paused: bool = False


@dataclass(frozen=True)
class Campaigns:
    """The contents of a campaign file."""

    currency: str
    campaigns: tuple[Campaign, ...]


def load_campaigns(path: Path) -> Campaigns:
    """Read a campaign file.

    Raises `DataError` naming file, campaign, field and what is allowed there, or `UsageError` if
    there is no such file.
    """
    plain = _read_toml(path)
    try:
        _refuse_unknown(plain, ("currency", "campaign"), "setting")
        currency = _converted(plain, "currency", _currency)
        tables = plain.get("campaign")
        if not isinstance(tables, list) or not tables:
            raise ValueError("there is no campaign in it; each begins with a line [[campaign]]")
        campaigns = tuple(_campaign(table, place) for place, table in enumerate(tables, 1))
        _refuse_equal_ids(campaigns)
    except ValueError as error:
        raise DataError(str(error), where=path) from None
    return Campaigns(currency, campaigns)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file, parse_float=Decimal)  # money keeps its digits exactly
    except OSError as error:
        raise UsageError(
            f"the campaign file cannot be read: {error.strerror}", where=path
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not valid TOML: {error}", where=path) from None


def _campaign(table: Any, place: int) -> Campaign:
    """Read one campaign from its table; raises `ValueError` with the campaign's name or place."""
    if not isinstance(table, Mapping):
        raise ValueError("each campaign begins with a line [[campaign]]")
    name = table.get("id", f"number {place}")
    try:
        _refuse_unknown(table, _FIELDS, "field")
        found = {
            field: _converted(table, field, read)
            for field, (_, read) in _FIELDS.items()
            if field in table
        }
        for field, (required, _) in _FIELDS.items():
            if required and field not in table:
                raise ValueError(f"{field} is missing")
        campaign = Campaign(
            **{_STORED_AS.get(field, field): value for field, value in found.items()}
        )
        _refuse_contradictions(campaign)
    except ValueError as error:
        raise ValueError(f"campaign {name}: {error}") from None
    return campaign


def _refuse_contradictions(campaign: Campaign) -> None:
    daily, total = campaign.daily_budget_micros, campaign.budget_micros
    if campaign.bid_micros > min(total, daily or total):
        raise ValueError(
            f"bid {as_currency(campaign.bid_micros)} is above the budget, so no click could be paid"
        )
    if daily and daily > total:
        raise ValueError(f"daily_budget {as_currency(daily)} is above budget {as_currency(total)}")
    start, end = campaign.start_seconds, campaign.end_seconds
    if start is not None and end is not None and start >= end:
        raise ValueError("end must be later than start")


def _refuse_equal_ids(campaigns: tuple[Campaign, ...]) -> None:
    seen: set[str] = set()
    for campaign in campaigns:
        if campaign.id in seen:
            raise ValueError(
                f"campaign {campaign.id}: two campaigns have this id; each needs its own"
            )
        seen.add(campaign.id)


def _refuse_unknown(table: Mapping[str, Any], known: Collection[str], what: str) -> None:
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, list(known), n=1)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
            raise ValueError(f"unknown {what} {key}; {hint}")


def _converted(table: Mapping[str, Any], field: str, read: Callable[[Any], Any]) -> Any:
    if field not in table:
        raise ValueError(f"{field} is missing")
    try:
        return read(table[field])
    except ValueError as error:
        value = table[field]
        shown = str(value) if isinstance(value, Decimal | date) else repr(value)
        raise ValueError(f"{field} {error}, not {shown[:80]}") from None


def _matching(pattern: str, must: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(must)
        return value

    return read


def _line(longest: int) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        line = value.strip() if isinstance(value, str) else ""
        if not 0 < len(line) <= longest or not line.isprintable():
            raise ValueError(f"must be one line of 1 to {longest} characters")
        return line

    return read


def _list_of(read_one: Callable[[Any], str]) -> Callable[[Any], tuple[str, ...]]:
    def read(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise ValueError('must be a list, such as ["one", "two"]')
        return tuple(dict.fromkeys(read_one(item) for item in value))

    return read


def _url(value: Any) -> str:
    must = "must be a web address that begins with https:// or http://"
    if (
        not isinstance(value, str)
        or not value.isprintable()
        or re.search(r"[\s\\]", value)
        or len(value) > 2000
    ):
        raise ValueError(must)
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(must)
    return value


def _money(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("must be an amount such as 0.25, without quotes")
    return to_micros(value)


def _seconds(value: Any) -> int:
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
    elif isinstance(value, date):
        moment = datetime.combine(value, time(), UTC)
    else:
        raise ValueError(
            "must be a date or time without quotes, such as 2026-01-31 or 2026-01-31T08:00:00Z"
        )
    return int(moment.timestamp())


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1000:
        raise ValueError("must be a whole number from 1 to 1000")
    return value


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _term(value: Any) -> str:
    term = _line(60)(value)
    if not re.search(r"\w", term):
        raise ValueError("must be words or phrases")
    return term


_currency = _matching(r"[A-Z]{3}", 'must be three capital letters, such as "EUR"')
_language = _matching(r"[a-z]{2,3}", 'must be language codes in small letters, such as "en"')

# Each field of the file: whether it is required, and the function that checks and converts it.
_FIELDS: dict[str, tuple[bool, Callable[[Any], Any]]] = {
    "id": (
        True,
        _matching(r"[a-z0-9][a-z0-9-]{0,63}", "must be up to 64 small letters, digits and hyphens"),
    ),
    "advertiser": (True, _line(80)),
    "title": (True, _line(80)),
    "body": (True, _line(200)),
    "url": (True, _url),
    "bid": (True, _money),
    "budget": (True, _money),
    "daily_budget": (False, _money),
    "keywords": (False, _list_of(_term)),
    "excluded_words": (False, _list_of(_term)),
    "languages": (False, _list_of(_language)),
    "start": (False, _seconds),
    "end": (False, _seconds),
    "views_per_viewer_per_day": (False, _count),
    "paused": (False, _yes_or_no),
}
_STORED_AS = {
    "bid": "bid_micros",
    "budget": "budget_micros",
    "daily_budget": "daily_budget_micros",
    "start": "start_seconds",
    "end": "end_seconds",
}
