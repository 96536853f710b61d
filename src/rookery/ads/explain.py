"""Explaining: an auction held again from its record, and why a campaign does not run.

An auction is held again by the same pure functions over the same numbers, so that it ends the same
to the bit, or the record is not that of an auction of this release. Why a campaign does not run is
counted while ads are served, by group, day and reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from rookery.ads.ledger.auctions import AuctionRecord
from rookery.ads.ledger.schema import ad_group, campaign, reason
from rookery.ads.price.places import Place, sell, weights_of
from rookery.core.errors import UsageError

OFFERED = "offered"
"""The reason that is none: an ad of the group was offered."""


def held_again(record: AuctionRecord) -> list[Place]:
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
