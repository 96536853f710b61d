"""Reasons: how often each group did not run for a reason, or was offered, by day.

An ad server counts in memory and adds its counts now and then, in one transaction. What is made of
them is in `explain.py` and `report.py`.
"""

from collections.abc import Mapping

from sqlalchemy import and_, bindparam, update
from sqlalchemy.engine import Engine

from rookery.ads.ledger.schema import reason
from rookery.ads.ledger.store import insert_rows, writing

OFFERED = "offered"
"""The reason that is none: an ad of the group was offered."""
_KEY = ("ad_group", "day", "reason")
_ADD = (
    update(reason)
    .where(and_(*(reason.c[name] == bindparam(f"which_{name}") for name in _KEY)))
    .values(times=reason.c.times + bindparam("more"))
)


def add_reasons(store: Engine, day: str, counts: Mapping[tuple[int, str], int]) -> None:
    """Add counts by group (its key) and reason to those of a day."""
    if not counts:
        return
    in_order = sorted(counts)
    rows = [{"ad_group": group, "day": day, "reason": name} for group, name in in_order]
    more = [
        {f"which_{name}": row[name] for name in _KEY} | {"more": counts[named]}
        for row, named in zip(rows, in_order, strict=True)
    ]
    with writing(store) as connection:
        insert_rows(connection, reason, [row | {"times": 0} for row in rows])
        connection.execute(_ADD, more)
