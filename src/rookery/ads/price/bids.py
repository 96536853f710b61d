"""Bids: how much each group bids now, by its strategy and by how hard its budget presses.

- *highest*: its price, less while its campaign is ahead of its budget.
- *automatic*: what its budget allows, up to its price: more while it is behind, less while ahead.
- *target*: around its target, so that the mean cost comes near it, and less while it is ahead.

Pure, over arrays of groups; some times a second it is computed for all of them. What an automatic
bid costs usually is learned from the auctions in which a group took part (`Usual`). Not here: how
strongly a budget presses (`accounts.py`), and who wins (`places.py`).
"""

import numpy as np

from rookery.ads.price.spending import automatic_bid, paced, targeted_bid
from rookery.ads.terms.objects import STRATEGIES, VIEWS_AT_ONCE

HIGHEST, AUTOMATIC, TARGET = (STRATEGIES.index(one) for one in ("highest", "automatic", "target"))
_STEP = 0.05


def bids_of(
    prices: np.ndarray,
    strategies: np.ndarray,
    pressure: np.ndarray,
    usual: np.ndarray,
    spent: np.ndarray,
    bought: np.ndarray,
) -> np.ndarray:
    """Return what each group bids for one of what it pays for, int64 micros (n,).

    prices: its highest price or its target. strategies: places in `STRATEGIES`. pressure: of its
    campaign. usual: what one of what it pays for usually costs, 0 if nobody knows. spent, bought:
    so far, by the group.
    """
    bids = paced(prices, pressure)
    automatic = (strategies == AUTOMATIC) & (usual > 0) & (pressure > 0)
    if automatic.any():
        allowed = automatic_bid(usual[automatic], pressure[automatic])
        bids[automatic] = np.minimum(prices[automatic], allowed)
    target = strategies == TARGET
    if target.any():
        wanted = targeted_bid(prices[target], spent[target], bought[target])
        bids[target] = paced(wanted, pressure[target])
    return bids


class Usual:
    """What one of what a group pays for usually costs, and what it has bought.

    prices: the median over its auctions as it moves, float64 (groups,), 0 where nobody knows: each
    auction moves it by a small step up or down, so that half of the costs are below it. spent,
    bought: micros, and how many of what it pays for, int64 (groups,).
    """

    def __init__(self, groups: int = 0) -> None:
        self.prices = np.zeros(groups)
        self.spent, self.bought = np.zeros((2, groups), np.int64)

    def grow(self, groups: int) -> None:
        """Make room for more groups."""
        more = groups - len(self.prices)
        if more <= 0:
            return
        self.prices = np.concatenate([self.prices, np.zeros(more)])
        self.spent = np.concatenate([self.spent, np.zeros(more, np.int64)])
        self.bought = np.concatenate([self.bought, np.zeros(more, np.int64)])

    def buy(self, group: int, micros: int) -> None:
        """Note that a group was charged; a group that is new since has room made for it."""
        self.grow(group + 1)
        self.spent[group] += micros
        self.bought[group] += 1

    def see(self, groups: np.ndarray, costs: np.ndarray) -> None:
        """Learn from an auction. groups: (n,). costs: what would have won it, micros (n,)."""
        before = self.prices[groups]
        moved = before * np.where(costs > before, 1 + _STEP, 1 / (1 + _STEP))
        self.prices[groups] = np.where(before > 0, moved, costs)


def unit_costs(bids: np.ndarray, by_views: np.ndarray) -> np.ndarray:
    """Return what one event that is paid costs at a bid, micros (n,): a view costs a thousandth."""
    return np.where(by_views, -(-bids // VIEWS_AT_ONCE), bids)
