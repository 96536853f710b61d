"""The audit: whether the books agree with themselves, row by row.

What each campaign, each of its days and all shared money say is spent has to be the sum of what
their events cost. Each event has to have the one before it, a version of an ad of its own campaign,
the day of its campaign's zone, and no cost beside a reason why it is free. The constraints of the
database refuse most of this already; the audit trusts none of them.
"""

from collections import Counter

from sqlalchemy import Table, func, select
from sqlalchemy.engine import Connection

from rookery.ads.ledger.schema import (
    ad,
    ad_group,
    ad_version,
    campaign,
    campaign_day,
    click,
    conversion,
    funding,
    view,
)
from rookery.ads.terms.days import date_in

_EVENTS = {"view": view, "click": click, "conversion": conversion}
_BEFORE = {"click": view, "conversion": click}
_MOST = 100
"""Findings of one kind that are told."""


def audit(connection: Connection) -> tuple[str, ...]:
    """Return a line for each contradiction in the books; none if they are right."""
    findings = [*_sums(connection)]
    for kind, table in _EVENTS.items():
        findings += _chains(connection, kind, table)
        findings += _wrong_days(connection, kind, table)
    return tuple([*findings, *_wrong_campaigns(connection)])


def _sums(connection: Connection) -> list[str]:
    """Compare what is said to be spent with the sums of events."""
    by_day: Counter[tuple[int, str]] = Counter()
    for table in _EVENTS.values():
        summed = select(table.c.campaign, table.c.day, func.sum(table.c.micros))
        for key, day, micros in connection.execute(summed.group_by(table.c.campaign, table.c.day)):
            by_day[key, day] += int(micros)
    by_campaign: Counter[int] = Counter()
    for (key, _), micros in by_day.items():
        by_campaign[key] += micros
    rows = connection.execute(select(campaign)).all()
    names = {row.key: row.id for row in rows}
    told = [(row.id, row.spent_micros, by_campaign[row.key]) for row in rows]
    told += [
        (
            f"{names[row.campaign]} {row.day}",
            row.spent_micros,
            by_day.pop((row.campaign, row.day), 0),
        )
        for row in connection.execute(select(campaign_day))
    ]
    told += [(f"{names.get(key, key)} {day}", 0, micros) for (key, day), micros in by_day.items()]
    shared: Counter[int] = Counter()
    for row in rows:
        shared[row.funding or 0] += by_campaign[row.key]
    told += [
        (f"funding {row.id}", row.spent_micros, shared[row.key])
        for row in connection.execute(select(funding))
    ]
    return [f"{name}: spent {spent}, charged {sum_}" for name, spent, sum_ in told if spent != sum_]


def _chains(connection: Connection, kind: str, table: Table) -> list[str]:
    """Find events without the one before them, or that cost something and are given away."""
    free = select(table.c.offer).where(table.c.given != "", table.c.micros > 0).limit(_MOST)
    found = [f"{kind} {n}: costs and is given away" for n in connection.execute(free).scalars()]
    before = _BEFORE.get(kind)
    if before is not None:
        alone = (
            select(table.c.offer)
            .select_from(table.outerjoin(before, before.c.offer == table.c.offer))
            .where((before.c.offer.is_(None)) | (before.c.campaign != table.c.campaign))
        )
        found += [
            f"{kind} {n}: without its {before.name}"
            for n in connection.execute(alone.limit(_MOST)).scalars()
        ]
    return found


def _wrong_days(connection: Connection, kind: str, table: Table) -> list[str]:
    """Find events whose day is not that of their time in their campaign's zone."""
    rows = connection.execute(
        select(campaign.c.zone, table.c.day, func.min(table.c.at), func.max(table.c.at))
        .select_from(table.join(campaign, campaign.c.key == table.c.campaign))
        .group_by(campaign.c.zone, table.c.day)
    )
    return [
        f"{kind}s of {day} in {zone}: another day"
        for zone, day, first, last in rows
        if {date_in(zone, first), date_in(zone, last)} != {day}
    ]


def _wrong_campaigns(connection: Connection) -> list[str]:
    """Find views whose ad is of another campaign."""
    chain = view.outerjoin(ad_version).outerjoin(ad).outerjoin(ad_group)
    wrong = (ad_group.c.key.is_(None)) | (ad_group.c.campaign != view.c.campaign)
    rows = connection.execute(select(view.c.offer).select_from(chain).where(wrong).limit(_MOST))
    return [f"view {offer}: its ad is of another campaign" for offer in rows.scalars()]
