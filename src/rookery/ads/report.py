"""The report: what every campaign got and paid.

It reads the ledger at one moment and writes nothing. Amounts in currency are for people, `*_micros`
for programs. Whether the books agree with themselves is proved by `ledger/audit.py`.
"""

from collections import Counter, defaultdict
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from rookery.ads.ledger import store
from rookery.ads.ledger.audit import audit
from rookery.ads.ledger.book import currency_of
from rookery.ads.ledger.reasons import OFFERED
from rookery.ads.ledger.schema import (
    ad_group,
    campaign,
    click,
    conversion,
    reason,
    refusal,
    view,
)
from rookery.ads.terms.money import as_currency
from rookery.core.home import Home

_KINDS = {"views": view, "clicks": click, "conversions": conversion}


def report(home: Home) -> dict[str, Any]:
    """Return `{"campaigns": [a row for each], "totals": {…}}`; a home may have no campaigns."""
    with store.opened_store(home) as engine, store.reading(engine) as connection:
        return report_of(connection)


def report_of(connection: Connection) -> dict[str, Any]:
    """Return the same as `report` from an open store."""
    counts, rows = _counts(connection), connection.execute(select(campaign)).all()
    lines = [
        {"campaign": row.id}
        | _line(counts[row.key], row.spent_micros, row.budget_micros - row.spent_micros)
        for row in sorted(rows, key=lambda row: row.id)
    ]
    sums = sum(counts.values(), Counter[str]())
    spent = sum(row.spent_micros for row in rows)
    left = sum(row.budget_micros for row in rows) - spent
    return {"campaigns": lines, "totals": _totals(connection, sums, _line(sums, spent, left))}


def _counts(connection: Connection) -> dict[int, Counter[str]]:
    """Count what every campaign got, by its key."""
    found: dict[int, Counter[str]] = defaultdict(Counter)
    offered = (
        select(ad_group.c.campaign, func.sum(reason.c.times))
        .select_from(ad_group.join(reason))
        .where(reason.c.reason == OFFERED)
        .group_by(ad_group.c.campaign)
    )
    counted = [("offers", offered)]
    for name, table in _KINDS.items():
        of_kind = select(table.c.campaign, func.count()).group_by(table.c.campaign)
        counted += [(name, of_kind), (f"{name}_paid", of_kind.where(table.c.micros > 0))]
        counted.append((f"{name}_given_away", of_kind.where(table.c.given != "")))
    for name, statement in counted:
        for key, times in connection.execute(statement):
            found[key][name] = int(times)
    return found


def _line(counts: Counter[str], spent_micros: int, left_micros: int) -> dict[str, Any]:
    views, clicks = counts["views"], counts["clicks"]
    paid = sum(counts[f"{name}_paid"] for name in _KINDS)
    return {
        "offers": counts["offers"],
        "views": views,
        "clicks": clicks,
        "conversions": counts["conversions"],
        "ctr": round(clicks / views, 4) if views else 0.0,
        "average_price": as_currency(round(spent_micros / paid)) if paid else "",
        "spend": as_currency(spent_micros),
        "budget_left": as_currency(left_micros),
        "spend_micros": spent_micros,
    }


def _totals(connection: Connection, counts: Counter[str], line: dict[str, Any]) -> dict[str, Any]:
    refused = select(refusal.c.kind, refusal.c.reason, func.sum(refusal.c.times)).group_by(
        refusal.c.kind, refusal.c.reason
    )
    return {
        "currency": currency_of(connection) or None,
        **line,
        "clicks_given_away": counts["clicks_given_away"],
        "refused": {
            f"{kind} {why}": int(times)
            for kind, why, times in sorted(connection.execute(refused).all())
        },
        "ledger_agrees": not audit(connection),
    }
