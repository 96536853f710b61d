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

import numpy as np

FIRST_PRESSURE = 1.0
GAIN = 100.0
"""Step 1/√T for an expected T = 10,000 auctions in a period: T · 1/√T."""
_FARTHEST = 30.0  # at exp(±30) a campaign bids nothing or all, so that farther makes no difference

_SUPPOSED = 10  # of what is paid for, that a mean cost begins with
SCALE_VIEWS = 500
"""Views after which an automatic bid knows what a place costs."""


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
