"""The auction: one place beside a page, sold to the most valuable bid at the price needed to win.

A weighted second-price auction, a pure function over integers. Bids are ranked by bid × weight,
where the weight, pCTR^squash × relevance, is what a view of this ad is worth for each unit bid. For
a click the winner pays the least bid with which it would still have won, and at least the reserve.
As the weight does not depend on the bid, bidding one's true value is best (Vickrey; Edelman,
Ostrovsky and Schwarz 2007). The reserve is per click and not weighted: in simulations (Thompson and
Leyton-Brown 2013) it earns clearly more than reserves that depend on quality. Who may take part is
decided in `eligibility.py`, how much of a bid is used in `pacing.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

WEIGHT_ONE = 1_000_000_000  # weights are whole billionths, so that scores and prices are exact


@dataclass(frozen=True)
class Bid:
    """A campaign's bid for a click. `tie` orders equal scores: the smaller wins."""

    campaign: str
    bid_micros: int
    weight: int
    tie: int = 0

    @property
    def score(self) -> int:
        return self.bid_micros * self.weight


@dataclass(frozen=True)
class Sale:
    """The winner, the price of a click, and the score that was beaten (0: only the reserve)."""

    winner: Bid
    price_micros: int
    beaten_score: int


def quality_weight(pctr: float, relevance: float, squash: float) -> int:
    """Return pCTR^squash × relevance in billionths, at least one; squash < 1 trusts pCTR less."""
    return max(1, round(pctr**squash * relevance * WEIGHT_ONE))


def hold_auction(bids: Sequence[Bid], reserve_micros: int) -> Sale | None:
    """Sell the place; None if no bid reaches the reserve. The order of the bids has no effect."""
    ranked = sorted((bid for bid in bids if bid.bid_micros >= reserve_micros), key=_rank)
    if not ranked:
        return None
    winner, *others = ranked
    if not others:
        return Sale(winner, reserve_micros, 0)
    return Sale(winner, max(reserve_micros, _least_winning_bid(winner, others[0])), others[0].score)


def _rank(bid: Bid) -> tuple[int, int, str]:
    return (-bid.score, bid.tie, bid.campaign)  # the best score first, then the smaller tie


def _least_winning_bid(winner: Bid, second: Bid) -> int:
    # bid × weight ≥ second.score: the quotient rounded up, and one micro more if a tie would lose.
    wins_ties = (winner.tie, winner.campaign) < (second.tie, second.campaign)
    quotient, remainder = divmod(second.score, winner.weight)
    return quotient + (1 if remainder or not wins_ties else 0)
