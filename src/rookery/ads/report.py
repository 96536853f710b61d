"""The report: what every campaign got and paid, and whether the books agree with themselves.

It reads the ledger at one moment and writes nothing. Amounts in currency are for people, `*_micros`
for programs. The tables are in `ledger/store.py`.
"""

from collections import Counter
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from rookery.ads.ledger import store
from rookery.ads.ledger.store import campaign, campaign_day, charge, click, offer, refusal, view
from rookery.ads.terms.money import as_currency
from rookery.core.home import Home


def report(home: Home) -> dict[str, Any]:
    """Return `{"campaigns": [a row for each], "totals": {…}}`; a home may have no campaigns."""
    with store.opened_store(home) as engine, store.reading(engine) as connection:
        return report_of(connection)


def report_of(connection: Connection) -> dict[str, Any]:
    """Return the same as `report` from an open store."""
    campaigns, counts = store.read_campaigns(connection), _counts(connection)
    spent = dict(connection.execute(select(campaign.c.id, campaign.c.spent_micros)).all())
    rows = [
        {"campaign": one.id}
        | _line(counts.get(one.id, _NOTHING), spent[one.id], one.budget_micros - spent[one.id])
        for one in campaigns
    ]
    sums = tuple(map(sum, zip(*counts.values(), strict=True))) if counts else _NOTHING
    left = sum(one.budget_micros for one in campaigns) - sum(spent.values())
    return {
        "campaigns": rows,
        "totals": _totals(connection, _line(sums, sum(spent.values()), left)),
    }


_NOTHING = (0, 0, 0, 0)


def _counts(connection: Connection) -> dict[str, tuple[int, ...]]:
    """Count offers, views, clicks and charges of each campaign that has any."""
    chain = offer.outerjoin(view).outerjoin(click).outerjoin(charge)
    columns = (offer.c.auction, view.c.auction, click.c.auction, charge.c.auction)
    query = select(offer.c.campaign, *(func.count(c) for c in columns)).select_from(chain)
    return {row[0]: tuple(row[1:]) for row in connection.execute(query.group_by(offer.c.campaign))}


def _line(counts: tuple[int, ...], spent_micros: int, left_micros: int) -> dict[str, Any]:
    offers, views, clicks, charges = counts
    return {
        "offers": offers,
        "views": views,
        "clicks": clicks,
        "ctr": round(clicks / views, 4) if views else 0.0,
        "average_price": as_currency(round(spent_micros / charges)) if charges else "",
        "spend": as_currency(spent_micros),
        "budget_left": as_currency(left_micros),
        "spend_micros": spent_micros,
    }


def _totals(connection: Connection, line: dict[str, Any]) -> dict[str, Any]:
    currency = store.get_state(connection, store.CURRENCY)
    given = select(func.count()).where(
        refusal.c.kind == "click", refusal.c.reason.in_(("over_budget", "over_daily_budget"))
    )
    refused = select(refusal.c.kind, refusal.c.reason, func.sum(refusal.c.times)).group_by(
        refusal.c.kind, refusal.c.reason
    )
    return {
        "currency": currency.decode() if currency else None,
        **line,
        "clicks_given_away": connection.execute(given).scalar_one(),
        "refused": {
            f"{kind} {reason}": int(times)
            for kind, reason, times in sorted(connection.execute(refused).all())
        },
        "ledger_agrees": not inconsistencies(connection),
    }


def inconsistencies(connection: Connection) -> list[str]:
    """Return a line for each contradiction in the books; none if they are right.

    A contradiction is a counter that is not the sum of its charges, or a charge that is not as
    offered.
    """
    charged = select(charge.c.campaign, charge.c.day, func.sum(charge.c.micros))
    by_day = {
        (name, day): int(micros)
        for name, day, micros in connection.execute(
            charged.group_by(charge.c.campaign, charge.c.day)
        )
    }
    by_campaign: Counter[str] = Counter()
    for (name, _), micros in by_day.items():
        by_campaign[name] += micros
    counters = [
        ((row.id, "in all"), row.spent_micros, by_campaign[row.id])
        for row in connection.execute(select(campaign))
    ]
    counters += [
        ((row.campaign, row.day), row.spent_micros, by_day.get((row.campaign, row.day), 0))
        for row in connection.execute(select(campaign_day))
    ]
    differing = select(charge.c.auction).join(offer, offer.c.auction == charge.c.auction)
    differing = differing.where(
        (offer.c.price_micros != charge.c.micros) | (offer.c.campaign != charge.c.campaign)
    )
    return [
        f"{' '.join(name)}: spent {spent}, charged {sum_}"
        for name, spent, sum_ in counters
        if spent != sum_
    ] + [f"auction {row.auction}: charged not as offered" for row in connection.execute(differing)]
