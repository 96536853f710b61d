"""Previews: an auction told to whoever wants to know, of which nothing comes.

Not here: how it is held (`auction.py`).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rookery.ads.auction import Auction
from rookery.ads.offers import AdRequest, Offer, keywords_of, shown
from rookery.ads.select.index import Inventory
from rookery.ads.select.rules import CODES, REASONS, RUNS


@dataclass(frozen=True)
class Decision:
    """The decision on one group, with the numbers behind it; reason: why it is not shown, or ""."""

    group: str
    campaign: str
    reason: str
    keywords: tuple[str, ...] = ()
    similarity: float = 0.0
    bid_micros: int = 0
    pctr: float = 0.0


@dataclass(frozen=True)
class Preview:
    """What a request would be shown, and why other groups would not.

    decisions: on groups that the text concerns. others: how many more there are, by reason.
    """

    offers: tuple[Offer, ...]
    decisions: tuple[Decision, ...]
    others: Mapping[str, int]


def told(inventory: Inventory, request: AdRequest, auction: Auction) -> Preview:
    """Return an auction as a preview."""
    taking_part, columns = auction.bidders, inventory.columns
    won = {place.candidate for place in auction.places}
    order = np.argsort(-(taking_part.bids.astype(float) * taking_part.weights), kind="stable")
    decisions = [
        Decision(
            group=columns.ids[row][0],
            campaign=columns.ids[row][1],
            reason="" if n in won else "outbid",
            keywords=keywords_of(inventory, auction, n),
            similarity=float(taking_part.found.similarity[n]),
            bid_micros=int(taking_part.bids[n]),
            pctr=float(taking_part.pctr[n]),
        )
        for n, row in zip(order.tolist(), taking_part.found.rows[order].tolist(), strict=True)
    ]
    refused = set(zip(taking_part.refused.tolist(), taking_part.reasons.tolist(), strict=True))
    decisions += [
        Decision(columns.ids[row][0], columns.ids[row][1], REASONS[code])
        for row, code in sorted(refused)
    ]
    places = range(len(auction.places))
    offers = tuple(shown(inventory, request, auction, place, 0, "") for place in places)
    return Preview(offers, tuple(decisions), _others(auction))


def _others(auction: Auction) -> dict[str, int]:
    """Count the groups that the text does not concern, by why they do not run."""
    standing, taking_part = auction.moment.standing, auction.bidders
    concerned = np.zeros(len(standing), bool)
    concerned[taking_part.found.rows] = concerned[taking_part.refused] = True
    codes = np.where(standing == RUNS, CODES["not_relevant"], standing)[~concerned]
    return dict(Counter(REASONS[code] for code in codes.tolist()))
