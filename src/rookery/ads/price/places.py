"""The auction: one to four places beside a page, sold to the most valuable bids.

Pure functions over integers and arrays. A candidate bids for one of what its campaign pays for (a
thousand views, a click, a conversion); its weight is what a view of the ad is worth for each unit
bid, in billionths. Candidates are ranked by bid × weight, of each advertiser the best alone, and
the best ones get the places in order.

- By *weighted second price* each pays, for one of what it pays for, the least bid with which it
  would still have had its place (Edelman, Ostrovsky and Schwarz 2007). With one place bidding one's
  true value is best; with several it need not be.
- By *VCG* each pays what the others lose by it (Vickrey, Clarke, Groves), so that the truth is best
  with any number of places. It needs how much more a place is worth than the next one.

A price is at least the reserve, which is per click (or view, or conversion) and not weighted: in
simulations (Thompson and Leyton-Brown 2013) that earns clearly more than reserves that depend on
quality. Not here: who may take part (`select/`), and how much of a bid is used (`bids.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rookery.ads.terms.objects import PAYMENTS, VIEWS_AT_ONCE, Rule

WEIGHT_ONE = 1_000_000_000
MOST_PLACES = 4
VIEWS, CLICK, CONVERSION = (PAYMENTS.index(one) for one in ("views", "click", "conversion"))

_SHARES = (1000, 700, 500, 400)
"""Clicks in each place, in thousandths of those in the first. They order nothing; VCG prices them.
"""


@dataclass(frozen=True)
class SoldPlace:
    """A place that was sold.

    candidate: its number. price_micros: for one of what it pays for. beaten_score: of the candidate
    behind it, 0 where only the reserve was beaten.
    """

    candidate: int
    price_micros: int
    beaten_score: int


def weights_of(
    pays_for: np.ndarray, pctr: np.ndarray, pcvr: np.ndarray, quality: np.ndarray, squash: float
) -> np.ndarray:
    """Return what a view of each candidate is worth for a unit bid, int64 billionths, at least 1.

    pays_for: places in `PAYMENTS`, uint8 (n,). pctr, pcvr: the predicted chance of a click, and of
    a conversion after it, (n,). quality: from 0 to 1. squash: below 1 it trusts predictions less;
    what is paid by view needs none.
    """
    chance = np.where(pays_for == CONVERSION, pctr * pcvr, pctr) ** squash
    worth = np.where(pays_for == VIEWS, 1 / VIEWS_AT_ONCE, chance) * quality
    return np.maximum(1, np.rint(worth * WEIGHT_ONE)).astype(np.int64)


def sell(
    bids: np.ndarray,
    weights: np.ndarray,
    reserves: np.ndarray,
    advertisers: np.ndarray,
    ties: np.ndarray,
    places: int = 1,
    rule: Rule = "second_price",
) -> list[SoldPlace]:
    """Sell up to four places among candidates (n,), best first; none that no bid reaches.

    bids, reserves: int64 micros. advertisers: of which each gets one place at most. ties: uint32,
    which order equal scores, the smaller first. The order of the candidates has no effect as long
    as no two of one score share a tie.
    """
    if not 1 <= places <= MOST_PLACES:
        raise ValueError(f"1 to {MOST_PLACES} places can be sold, not {places}")
    ranked = _ranked(bids, weights, reserves, advertisers, ties, places + 1)
    scores = [int(bids[n]) * int(weights[n]) for n in ranked]
    price = _second_price if rule == "second_price" else _vcg_price
    sold = []
    for place, n in enumerate(ranked[:places]):
        behind = scores[place + 1] if place + 1 < len(ranked) else 0
        asked = price(place, ranked, scores, weights, ties, places)
        micros = min(int(bids[n]), max(int(reserves[n]), asked))
        sold.append(SoldPlace(n, micros, behind))
    return sold


def _ranked(
    bids: np.ndarray,
    weights: np.ndarray,
    reserves: np.ndarray,
    advertisers: np.ndarray,
    ties: np.ndarray,
    most: int,
) -> list[int]:
    """Return the best candidates that reach their reserves, one of each advertiser."""
    left = np.flatnonzero(bids >= reserves)
    rough = bids[left].astype(np.float64) * weights[left]  # what counts is compared exactly
    taken: dict[int, int] = {}
    while len(left):
        size = min(len(left), 4 * most)
        best = (
            np.argpartition(-rough, size - 1)[:size] if size < len(left) else np.arange(len(left))
        )
        least = rough[best].min()
        best = np.flatnonzero(rough >= least * (1 - 1e-12))
        exact = sorted(
            (-int(bids[n]) * int(weights[n]), int(ties[n]), n) for n in left[best].tolist()
        )
        for _, _, n in exact:
            taken.setdefault(int(advertisers[n]), n)
        if len(taken) >= most or size == len(left):
            break
        others = np.ones(len(left), bool)
        others[best] = False
        left, rough = left[others], rough[others]
    return list(taken.values())[:most]


def _second_price(
    place: int,
    ranked: Sequence[int],
    scores: Sequence[int],
    weights: np.ndarray,
    ties: np.ndarray,
    places: int,
) -> int:
    """Return the least bid that would still have this place."""
    if place + 1 >= len(ranked):
        return 0
    weight = int(weights[ranked[place]])
    least, rest = divmod(scores[place + 1], weight)
    if rest:
        return least + 1
    loses_a_tie = int(ties[ranked[place]]) > int(ties[ranked[place + 1]])
    return least + 1 if loses_a_tie else least


def _vcg_price(
    place: int,
    ranked: Sequence[int],
    scores: Sequence[int],
    weights: np.ndarray,
    ties: np.ndarray,
    places: int,
) -> int:
    """Return what the candidates behind lose by this one, for a click in its place, rounded up."""
    lost = 0
    for behind in range(place + 1, min(places + 1, len(ranked))):
        here = _SHARES[behind] if behind < places else 0
        lost += (_SHARES[behind - 1] - here) * scores[behind]
    return -(-lost // (_SHARES[place] * int(weights[ranked[place]])))
