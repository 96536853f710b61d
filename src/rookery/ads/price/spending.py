"""Spending: bidding less than the whole bid, so that a budget lasts through its period.

Multiplicative dual descent (Balseiro, Lu and Mirrokni 2020): a budget has a shadow price μ, and
whoever spends from it bids bid / (1 + μ). After each auction μ ← μ · exp(step · (spent − due)). The
updates add up in the exponent, so that μ follows from what was spent and what was due so far,

    μ = FIRST_PRESSURE · exp(GAIN · (spent − due) / budget)

and needs no state but the ledger: it survives kills and is the same in every process. What is due
is counted from when a campaign's day began for it: one that starts at 20:00 has four hours.

Pure, over arrays of campaigns; some times a second it is computed for all of them. Not here:
whether a campaign may bid at all (`select/rules.py`), and what is promised (`promised.py`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

FIRST_PRESSURE = 1.0
GAIN = 100.0
"""Step 1/√T for an expected T = 10,000 auctions in a period: T · 1/√T."""
_FARTHEST = 30.0  # at exp(±30) a campaign bids nothing or all, so that farther makes no difference

_SUPPOSED = 10  # of what is paid for, that a mean cost begins with
SCALE_VIEWS = 500
"""Views after which an automatic bid knows what a place costs."""


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


def pressures(spent: np.ndarray, due: np.ndarray, budget: np.ndarray) -> np.ndarray:
    """Return the shadow prices μ ≥ 0 of budgets, float64 (n,).

    spent, due, budget: micros. A budget of 0 presses as much as can be.
    """
    ahead = GAIN * (spent - due) / np.maximum(budget, 1)
    ahead = np.where(budget > 0, ahead, _FARTHEST)
    return FIRST_PRESSURE * np.exp(np.clip(ahead, -_FARTHEST, _FARTHEST))


_MOST_MICROS = 1e15


def paced(bids: np.ndarray, pressure: np.ndarray) -> np.ndarray:
    """Return how much of each bid to use under a shadow price, int64 micros; at most all of it."""
    return (bids / (1.0 + pressure)).astype(np.int64)


def automatic_bid(prices: np.ndarray, pressure: np.ndarray) -> np.ndarray:
    """Return the bids of those who name no price, int64 micros: price / μ.

    prices: what one of what they pay for usually costs them (`usual_price`). They bid that much
    where they have spent what is due, less where they are ahead, and more where they are behind.
    """
    return np.minimum(prices / pressure, _MOST_MICROS).astype(np.int64)


def usual_price(prices_of_views: np.ndarray, chances: np.ndarray) -> float:
    """Return the median price of one of what is paid for, from views that could be bought.

    prices_of_views: what each view would have cost. chances: of it to bring what is paid for.
    """
    known = chances > 0
    return float(np.median(prices_of_views[known] / chances[known])) if known.any() else 0.0


def targeted_bid(target: np.ndarray, spent: np.ndarray, bought: np.ndarray) -> np.ndarray:
    """Return the bids of those who name a mean cost, int64 micros.

    spent: what `bought` have cost so far. Whoever has paid less than the target so far may bid more
    for the next ones, up to twice the target, and the other way round. Ten at the target stand for
    what is not known yet.
    """
    saved = target * (bought + _SUPPOSED) - (spent + _SUPPOSED * target)
    return np.clip(target + saved / _SUPPOSED, target * 0.1, target * 2).astype(np.int64)
