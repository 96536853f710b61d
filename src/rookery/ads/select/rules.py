"""Rules: why a group does not run, one small rule for each reason, over all rows at once.

`STANDING` holds for every request of a moment; `FITTING` looks at a request. Each rule returns
which rows it drops, and a row has the reason of the first rule that does. To add one, write it and
name it in one of the two tables. What money decides is added by the market (`market.py`), and how
well an ad fits a text is measured in `index.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from rookery.ads.select.columns import GroupColumns

RUNS = 0
"""The code of no reason."""


@dataclass(frozen=True)
class Page:
    """What a request tells, None where it does not; language, country and device."""

    language: str | None = None
    country: str | None = None
    device: str | None = None


def paused(columns: GroupColumns, now_seconds: float) -> np.ndarray:
    """Drop groups that are paused, or whose campaign is, or all of whose ads are."""
    rows = columns.rows
    return rows["paused"] | (rows["reviewed"] & (rows["versions"] == 0))


def unreviewed(columns: GroupColumns, now_seconds: float) -> np.ndarray:
    """Drop groups none of whose ads was ever approved."""
    return ~columns.rows["reviewed"]


def outside_schedule(columns: GroupColumns, now_seconds: float) -> np.ndarray:
    """Drop groups before the start of their campaign, and from its end on."""
    rows = columns.rows
    return (now_seconds < rows["start"]) | (now_seconds >= rows["end"])


def wrong_hour(columns: GroupColumns, now_seconds: float) -> np.ndarray:
    """Drop groups that do not run in this hour of the week in their campaign's zone."""
    if not columns.rows["hours"].any():
        return np.zeros(len(columns), bool)
    runs = np.array([columns.hours.with_item(_hour(zone, now_seconds)) for zone in columns.zones])
    return ~runs[columns.rows["zone"], columns.rows["hours"]]


def _hour(zone: str, now_seconds: float) -> int:
    here = datetime.fromtimestamp(now_seconds, ZoneInfo(zone))
    return 24 * here.weekday() + here.hour


def wrong_language(columns: GroupColumns, rows: np.ndarray, page: Page) -> np.ndarray:
    """Drop groups for other languages; a reader of unknown language may see every ad."""
    if page.language is None:
        return np.zeros(len(rows), bool)
    return ~columns.languages.with_item(page.language)[columns.rows["languages"][rows]]


def wrong_country(columns: GroupColumns, rows: np.ndarray, page: Page) -> np.ndarray:
    """Drop groups for other countries; a reader in an unknown one may see every ad."""
    if page.country is None:
        return np.zeros(len(rows), bool)
    return ~columns.countries.with_item(page.country)[columns.rows["countries"][rows]]


def wrong_device(columns: GroupColumns, rows: np.ndarray, page: Page) -> np.ndarray:
    """Drop groups for other devices; one that is unknown may show every ad."""
    if page.device is None:
        return np.zeros(len(rows), bool)
    return ~columns.devices.with_item(page.device)[columns.rows["devices"][rows]]


STANDING: tuple[Callable[[GroupColumns, float], np.ndarray], ...] = (
    unreviewed,
    paused,
    outside_schedule,
    wrong_hour,
)
FITTING: tuple[Callable[[GroupColumns, np.ndarray, Page], np.ndarray], ...] = (
    wrong_language,
    wrong_country,
    wrong_device,
)
OF_MONEY = ("below_reserve", "budget_spent", "daily_budget_spent", "all_promised", "paced_out")
OTHERS = ("excluded_word", "not_relevant", "frequency_capped", "outbid")
REASONS = (
    "",
    *(rule.__name__ for rule in (*STANDING, *FITTING)),
    *OF_MONEY,
    *OTHERS,
)
"""The reasons by their codes."""
CODES = {reason: code for code, reason in enumerate(REASONS)}


def standing(columns: GroupColumns, now_seconds: float) -> np.ndarray:
    """Return the code of why each row does not run now, or `RUNS`; uint8 (rows,)."""
    found = np.zeros(len(columns), np.uint8)
    for rule in reversed(STANDING):  # so that the first one has the last word
        found[rule(columns, now_seconds)] = CODES[rule.__name__]
    return found


def judge(columns: GroupColumns, rows: np.ndarray, page: Page) -> np.ndarray:
    """Return the code of why each of some rows does not fit a request; uint8 (n,)."""
    found = np.zeros(len(rows), np.uint8)
    for rule in reversed(FITTING):
        found[rule(columns, rows, page)] = CODES[rule.__name__]
    return found
