"""The auction: one place beside a page, sold to the bid that is worth most, at the price needed to
win.

A weighted second-price auction, a pure function over integers. Bids are ranked by bid × weight,
where the weight says how much a view of this ad is worth for each unit bid: pCTR^squash ×
relevance. The winner pays, for a click, the least bid with which it would still have won, and at
least the reserve. As the weight does not depend on the bid, bidding one's true value is best
(Vickrey; Edelman, Ostrovsky and Schwarz 2007). The reserve is per click and not weighted:
simulations (Thompson and Leyton-Brown 2013) find clearly more revenue so than with reserves that
depend on quality.

Who may take part is decided before (`eligibility.py`); what of a bid is put forward, in
`pacing.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

WEIGHT_ONE = 1_000_000_000  # weights are whole billionths, so that ranks and prices are exact


@dataclass(frozen=True)
class Bid:
    """What a campaign offers for a click. `tie` orders equal scores; the smaller wins."""

    campaign: str
    bid_micros: int
    weight: int
    tie: int = 0

    @property
    def score(self) -> int:
        return self.bid_micros * self.weight


@dataclass(frozen=True)
class Sale:
    """Who won, what a click will cost, and the score that had to be beaten (0: only the
    reserve).
    """

    winner: Bid
    price_micros: int
    beaten_score: int


def quality_weight(pctr: float, relevance: float, squash: float) -> int:
    """pCTR^squash × relevance in billionths, at least one. `squash` below 1 trusts the prediction
    less.
    """
    return max(1, round(pctr**squash * relevance * WEIGHT_ONE))


def hold_auction(bids: Sequence[Bid], reserve_micros: int) -> Sale | None:
    """Sell the place; None if no bid reaches the reserve. The order of the bids does not matter."""
    ranked = sorted((bid for bid in bids if bid.bid_micros >= reserve_micros), key=_rank)
    if not ranked:
        return None
    winner, *others = ranked
    if not others:
        return Sale(winner, reserve_micros, 0)
    return Sale(winner, max(reserve_micros, _least_winning_bid(winner, others[0])), others[0].score)


def _rank(bid: Bid) -> tuple[int, int, str]:
    return (-bid.score, bid.tie, bid.campaign)


def _least_winning_bid(winner: Bid, second: Bid) -> int:
    """The smallest bid in micros with which the winner still stands before the second."""
    wins_ties = (winner.tie, winner.campaign) < (second.tie, second.campaign)
    quotient, remainder = divmod(second.score, winner.weight)
    return quotient + (1 if remainder or not wins_ties else 0)
