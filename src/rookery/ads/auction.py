"""One auction: candidates judged, predicted and ranked, and places sold to the best of them.

    candidates ─► rules ─► predictions ─► weights ─► places

Each step is a function over arrays; what a step refuses keeps its reason. Not here: where
candidates come from (`select/index.py`), how places are priced (`price/places.py`), and what
follows a sale (`server.py`).
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rookery.ads.market import RESERVE_MICROS, MarketMoment
from rookery.ads.predict.features import view_buckets
from rookery.ads.price.places import Rule, SoldPlace, sell, weights_of
from rookery.ads.select.caps import Seen, capped
from rookery.ads.select.columns import GroupColumns
from rookery.ads.select.index import Candidates, Inventory
from rookery.ads.select.nearness import SIMILAR_ENOUGH
from rookery.ads.select.rules import CODES, RUNS, Page, judge
from rookery.ads.terms.objects import PAYMENTS, VIEWS_AT_ONCE
from rookery.core.protocols import ClickPredictor

SQUASH = 0.75
"""Trusts a prediction of clicks a little less than its number; see `places.py`."""
_MIX = 0x9E3779B1  # 2^32 by the golden ratio: neighbours get hashes far apart


@dataclass(frozen=True)
class Bidders:
    """The groups that take part, with all that decides among them; arrays (n,).

    buckets: int64 (n, features). pcvr: conversions expected of a click. quality: from 0.5 for an ad
    that barely fits by meaning to 1. refused, reasons: rows that do not take part, and the codes of
    why.
    """

    found: Candidates
    buckets: np.ndarray
    bids: np.ndarray
    pays_for: np.ndarray
    pctr: np.ndarray
    pcvr: np.ndarray
    quality: np.ndarray
    weights: np.ndarray
    advertisers: np.ndarray
    refused: np.ndarray
    reasons: np.ndarray

    def without(self, place: int) -> "Bidders":
        """Return the same without one of them, which had no money left to promise."""
        keep = np.arange(len(self.bids)) != place
        names = ("buckets", "bids", "pays_for", "pctr", "pcvr", "quality", "weights", "advertisers")
        return Bidders(
            found=self.found.only(keep),
            refused=np.append(self.refused, self.found.rows[place]),
            reasons=np.append(self.reasons, np.uint8(CODES["all_promised"])),
            **{name: getattr(self, name)[keep] for name in names},
        )


@dataclass(frozen=True)
class Auction:
    """An auction that was held: who took part, and what was sold.

    number: that of its first offer. seen: what counts of the viewer.
    """

    number: int
    at_seconds: float
    moment: MarketMoment
    seen: Sequence[Seen]
    bidders: Bidders
    places: tuple[SoldPlace, ...]


def fitting(
    columns: GroupColumns,
    found: Candidates,
    page: Page,
    seen: Sequence[Seen],
    standing: np.ndarray,
    now_seconds: float,
) -> tuple[Candidates, np.ndarray, np.ndarray]:
    """Return the candidates that every rule lets pass, and the rows and reasons of the others.

    seen: what counts of the viewer. standing: codes by row, of those that do not run.
    """
    codes = judge(columns, found.rows, page)
    # caps come last: they are the dearest to look at
    codes[(codes == RUNS) & found.excluded] = CODES["excluded_word"]
    codes[(codes == RUNS) & capped(columns, found.rows, seen, now_seconds)] = CODES[
        "frequency_capped"
    ]
    passes = codes == RUNS
    # whoever did not run at all was not judged, and has the reason of this moment
    refused = np.concatenate([found.rows[~passes], found.others])
    return found.only(passes), refused, np.concatenate([codes[~passes], standing[found.others]])


def bidders(
    inventory: Inventory,
    found: Candidates,
    moment: MarketMoment,
    predictor: ClickPredictor,
    words: Sequence[str],
    language: str | None,
    refused: np.ndarray,
    reasons: np.ndarray,
) -> Bidders:
    """Return those that take part, with predictions and weights."""
    columns = inventory.columns
    pays_for = columns.rows["pays_for"][found.rows]
    # most words of a text are of a few lengths
    moved = functools.cache(functools.partial(columns.moved_codes, found.rows))
    keywords = [inventory.keywords.texts[number] for number in found.keywords]
    similarity = found.similarity.astype(np.float64)
    buckets = view_buckets(
        columns.rows["code"][found.rows],
        similarity,
        words,
        language,
        keywords,
        found.matched,
        moved,
    )
    pctr, pcvr = predictor.predict(buckets), moment.conversions[found.rows]
    # what barely fits is worth half as much beside the text as what was asked for by a keyword
    by_meaning = np.clip(similarity / (2 * SIMILAR_ENOUGH), 0.5, 1.0)
    quality = np.where(found.matched.any(axis=1), 1.0, by_meaning)
    return Bidders(
        found,
        buckets,
        moment.bids[found.rows],
        pays_for,
        pctr,
        pcvr,
        quality,
        weights_of(pays_for, pctr, pcvr, quality, SQUASH),
        columns.rows["advertiser"][found.rows],
        refused,
        reasons,
    )


def ties(columns: GroupColumns, rows: np.ndarray, auction: int) -> np.ndarray:
    """Return what orders equal scores, uint32 (n,): by chance, and the same again for an auction.

    So equals take turns.
    """
    # a hash and no generator: the same for a group, whoever else takes part
    seed = np.uint32((auction ^ auction >> 32) * _MIX & 0xFFFFFFFF)
    mixed = (columns.rows["group"][rows].astype(np.uint32) ^ seed) * np.uint32(_MIX)
    return mixed ^ mixed >> np.uint32(15)


def sell_places(
    bidders: Bidders, columns: GroupColumns, auction: int, places: int, rule: Rule
) -> list[SoldPlace]:
    """Sell the places of an auction."""
    # the reserve is for a click and not weighted; see places.py
    reserves = np.full(len(bidders.bids), RESERVE_MICROS, np.int64)
    order = ties(columns, bidders.found.rows, auction)
    return sell(bidders.bids, bidders.weights, reserves, bidders.advertisers, order, places, rule)


def costs_of_winning(bidders: Bidders) -> np.ndarray:
    """Return the least bid with which each would have won the first place, float64 micros (n,)."""
    scores = bidders.bids * bidders.weights.astype(np.float64)
    # alone, the reserve was all there was to beat
    if len(scores) < 2:
        return np.full(len(scores), float(RESERVE_MICROS))
    second, first = np.partition(scores, -2)[-2:]
    # the best one had to beat the second, everybody else the best
    rival = np.where(scores == first, second, first)
    return np.maximum(rival / bidders.weights, RESERVE_MICROS)


def cost_and_chance(taking_part: Bidders, sold: SoldPlace) -> tuple[int, float]:
    """Return what one event that is paid costs at most, and how likely a view brings it."""
    kind = PAYMENTS[taking_part.pays_for[sold.candidate]]
    # a view that is paid for costs its price for certain, rounded up so that no promise is too low
    if kind == "views":
        return -(-sold.price_micros // VIEWS_AT_ONCE), 1.0
    # not squashed: this is money, and no ranking
    clicks = float(taking_part.pctr[sold.candidate])
    bought = float(taking_part.pcvr[sold.candidate]) if kind == "conversion" else 1.0
    return sold.price_micros, clicks * bought
