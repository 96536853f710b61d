"""Explaining: an auction held again from its record, and why a campaign does not run.

An auction is held again by the same pure functions over the same numbers, so that it ends the same
to the bit, or the record is not that of an auction of this release. Why a campaign does not run is
counted while ads are served, by group, day and reason.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.engine import Connection, Engine

from rookery.ads.auction import SQUASH, Auction, ties
from rookery.ads.ledger.auctions import CANDIDATE, AuctionFiles, AuctionRecord, Sold
from rookery.ads.ledger.schema import ad_group, campaign, reason
from rookery.ads.ledger.store import reading
from rookery.ads.ledger.token import auction_of, seconds_of
from rookery.ads.market import RESERVE_MICROS
from rookery.ads.price.places import Rule, SoldPlace, sell, weights_of
from rookery.ads.select.columns import GroupColumns
from rookery.ads.select.rules import REASONS
from rookery.ads.terms.money import as_currency
from rookery.ads.terms.objects import PAYMENTS
from rookery.core.errors import UsageError
from rookery.core.home import Home

MOST_RECORDED = 32
"""Candidates that a record has, unless more of them could have won."""


def record_of(
    auction: Auction, sold: Sequence[Sold], columns: GroupColumns, book: int, rule: Rule, asked: int
) -> AuctionRecord:
    """Return what an auction leaves behind. sold: by candidate. asked: how many places were."""
    from_ = auction.bidders
    scores = from_.bids * from_.weights.astype(np.float64)
    least = min((one.beaten_score for one in auction.places), default=0)
    order = np.argsort(-scores, kind="stable")
    needed = int((scores >= least * (1 - 1e-9)).sum())  # whoever might have won, or set a price
    kept = order[: max(MOST_RECORDED, needed)] if len(order) > MOST_RECORDED else order
    rows = from_.found.rows[kept]
    candidates = np.empty(len(kept), CANDIDATE)
    candidates["ad_group"] = columns.rows["group"][rows]
    candidates["tie"] = ties(columns, rows, auction.number)
    for name, column in _COLUMNS.items():
        candidates[name] = getattr(from_, column)[kept]
    place_of = {int(n): place for place, n in enumerate(kept.tolist())}
    refused = Counter(REASONS[code] for code in from_.reasons.tolist())
    return AuctionRecord(
        auction=auction.number,
        at_seconds=int(auction.at_seconds),
        book=book,
        rule=rule,
        places=asked,
        reserve_micros=RESERVE_MICROS,
        squash=SQUASH,
        candidates=candidates,
        ranked=len(order),
        sold=tuple(replace(one, candidate=place_of[one.candidate]) for one in sold),
        refused=dict(refused),
    )


_COLUMNS = {
    "advertiser": "advertisers",
    "bid_micros": "bids",
    "pctr": "pctr",
    "pcvr": "pcvr",
    "quality": "quality",
    "pays_for": "pays_for",
}


def held_again(record: AuctionRecord) -> list[SoldPlace]:
    """Return what an auction sells that is held again from its record."""
    found = record.candidates
    weights = weights_of(
        found["pays_for"],
        found["pctr"],
        found["pcvr"],
        found["quality"],
        record.squash,
    )
    reserves = np.full(len(found), record.reserve_micros, np.int64)
    bids, rule = found["bid_micros"], record.rule
    return sell(bids, weights, reserves, found["advertiser"], found["tie"], record.places, rule)


def is_the_same(record: AuctionRecord) -> bool:
    """Return whether the auction of a record, held again, sells the same at the same prices."""
    again = [(place.candidate, place.price_micros) for place in held_again(record)]
    return again == [(one.candidate, one.price_micros) for one in record.sold]


def explained(home: Home, store: Engine, number: int) -> dict[str, Any]:
    """Return an auction, named by its number or that of one of its offers, as plain values.

    Raises `UsageError` if there is no record of it.
    """
    auction = auction_of(number)
    files = AuctionFiles(home.auctions, keep_days=home.settings.ads.auctions_kept_days)
    record = files.find(auction, seconds_of(auction))
    found = record.candidates
    keys = found["ad_group"].tolist()
    with reading(store) as connection:
        rows = connection.execute(
            select(ad_group.c.key, ad_group.c.id).where(ad_group.c.key.in_(keys))
        )
        names = {row.key: row.id for row in rows}
    again = {place.candidate: place for place in held_again(record)}
    return {
        "auction": auction,
        "at": datetime.fromtimestamp(record.at_seconds, UTC).isoformat(),
        "rule": record.rule,
        "places": record.places,
        "reserve": as_currency(record.reserve_micros),
        "book": record.book,
        "took_part": record.ranked,
        "same_again": is_the_same(record),
        "candidates": [
            {
                "group": names.get(key, str(key)),
                "bid": as_currency(int(one["bid_micros"])),
                "pays_for": PAYMENTS[one["pays_for"]],
                "clicks": round(float(one["pctr"]), 6),
                "quality": round(float(one["quality"]), 4),
                "price": as_currency(again[n].price_micros) if n in again else "",
            }
            for n, (key, one) in enumerate(zip(keys, found, strict=True))
        ],
        "refused": dict(record.refused),
    }


@dataclass(frozen=True)
class Why:
    """How often the groups of a campaign did not run for a reason, or were offered."""

    group: str
    reason: str
    times: int


def why(connection: Connection, campaign_id: str) -> Sequence[Why]:
    """Return why the groups of a campaign did not run, the most frequent reasons first.

    Raises `UsageError` for a campaign that is not there.
    """
    key = connection.execute(select(campaign.c.key).where(campaign.c.id == campaign_id)).scalar()
    if key is None:
        raise UsageError(
            f"there is no campaign {campaign_id}", hint="`rookery ads report` lists them"
        )
    times = func.sum(reason.c.times).label("times")
    rows = connection.execute(
        select(ad_group.c.id, reason.c.reason, times)
        .select_from(ad_group.join(reason))
        .where(ad_group.c.campaign == key)
        .group_by(ad_group.c.id, reason.c.reason)
        .order_by(times.desc(), ad_group.c.id, reason.c.reason)
    )
    return [Why(row.id, row.reason, int(row.times)) for row in rows]
