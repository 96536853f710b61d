"""Balances: what was spent so far of each campaign, of its day, and of money that is shared.

An ad server reads them when it begins and now and then, and follows its own bookings in between.
Nothing is written here: that is in `booking.py`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import select
from sqlalchemy.engine import Connection

from rookery.ads.ledger.schema import advertiser, campaign, campaign_day, funding
from rookery.ads.terms.days import date_in
from rookery.ads.terms.objects import Funding


@dataclass(frozen=True)
class Balances:
    """What was spent of campaigns by their keys, and of the day that is now in their zones.

    keys, spent, today: int64 (campaigns,), micros.
    """

    keys: np.ndarray
    spent: np.ndarray
    today: np.ndarray


def read_balances(connection: Connection, now_seconds: float) -> Balances:
    """Return the balances of all campaigns."""
    rows = connection.execute(
        select(campaign.c.key, campaign.c.zone, campaign.c.spent_micros)
    ).all()
    dates = {zone: date_in(zone, now_seconds) for zone in {row.zone for row in rows}}
    now = datetime.fromtimestamp(now_seconds, UTC)
    near = [(now + timedelta(days=n)).date().isoformat() for n in (-1, 0, 1)]
    days = {
        (row.campaign, row.day): row.spent_micros
        for row in connection.execute(select(campaign_day).where(campaign_day.c.day.in_(near)))
    }
    today = [days.get((row.key, dates[row.zone]), 0) for row in rows]
    keys, spent = ([getattr(row, name) for row in rows] for name in ("key", "spent_micros"))
    return Balances(*(np.array(column, np.int64) for column in (keys, spent, today)))


def read_fundings(connection: Connection) -> list[tuple[Funding, int]]:
    """Return all money that is shared, each with what was spent of it."""
    rows = connection.execute(
        select(
            funding.c.id,
            advertiser.c.id.label("advertiser"),
            funding.c.budget_micros,
            funding.c.spent_micros,
        ).select_from(funding.join(advertiser))
    )
    return [(Funding(r.id, r.advertiser, r.budget_micros), r.spent_micros) for r in rows]
