"""Days: when a campaign's day begins and ends in its time zone, and which part of it it runs.

Pure. Not here: what is due by now (`price/accounts.py`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo


def date_in(zone: str, now_seconds: float) -> str:
    """Return the date of a moment in a time zone, such as 2026-01-31."""
    return datetime.fromtimestamp(now_seconds, ZoneInfo(zone)).date().isoformat()


@dataclass(frozen=True)
class Period:
    """The time over which a budget is to be spent evenly, in seconds since 1970."""

    start_seconds: float
    end_seconds: float

    def due_share(self, now_seconds: float) -> float:
        """Return how much of the budget is due by now, from 0 to 1."""
        length = self.end_seconds - self.start_seconds
        if length <= 0:
            return 1.0
        return max(0.0, min(1.0, (now_seconds - self.start_seconds) / length))


def day_in(zone: str, now_seconds: float) -> Period:
    """Return the day of a moment in a time zone, which has 23 or 25 hours where clocks change."""
    here = ZoneInfo(zone)
    now = datetime.fromtimestamp(now_seconds, here)
    start = datetime(now.year, now.month, now.day, tzinfo=here)
    next_day = start.date() + timedelta(days=1)
    end = datetime(next_day.year, next_day.month, next_day.day, tzinfo=here)
    return Period(start.timestamp(), end.timestamp())


def within(day: Period, start_seconds: float | None, end_seconds: float | None) -> Period:
    """Return the part of a day in which a campaign runs."""
    start = day.start_seconds if start_seconds is None else max(day.start_seconds, start_seconds)
    end = day.end_seconds if end_seconds is None else min(day.end_seconds, end_seconds)
    return Period(start, max(start, end))
