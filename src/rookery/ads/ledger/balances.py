"""Balances: what was spent so far of each campaign, of its day, and of money that is shared.

An ad server reads them when it begins and now and then, and follows its own bookings in between.
Nothing is written here: that is in `booking.py`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import and_, select
from sqlalchemy.engine import Connection

from rookery.ads.ledger.schema import advertiser, campaign, campaign_day, funding
from rookery.ads.terms.days import date_in
from rookery.ads.terms.objects import Funding


@dataclass(frozen=True)
class Balance:
    """What was spent of a campaign, and of its day where that was the day that is now."""

    campaign: str
    spent_micros: int
    today_micros: int


def read_balances(connection: Connection, now_seconds: float) -> list[Balance]:
    """Return the balances of all campaigns; the day of each is that of its zone."""
    now = datetime.fromtimestamp(now_seconds, UTC)
    near = [(now + timedelta(days=n)).date().isoformat() for n in (-1, 0, 1)]
    of_day = and_(campaign_day.c.campaign == campaign.c.key, campaign_day.c.day.in_(near))
    rows = connection.execute(
        select(
            campaign.c.id,
            campaign.c.zone,
            campaign.c.spent_micros,
            campaign_day.c.day,
            campaign_day.c.spent_micros.label("today"),
        ).select_from(campaign.outerjoin(campaign_day, of_day))
    )
    dates: dict[str, str] = {}
    found: dict[str, Balance] = {}
    for row in rows:
        date = dates.setdefault(row.zone, date_in(row.zone, now_seconds))
        if row.id not in found or row.day == date:
            today = row.today if row.day == date else 0
            found[row.id] = Balance(row.id, row.spent_micros, today)
    return list(found.values())


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
