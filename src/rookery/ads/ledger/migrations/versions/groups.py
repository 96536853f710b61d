"""Revision 0002: campaigns have groups and ads; an offer is a token, and events carry their cost.

A campaign of before becomes a campaign with one group and one ad, whose words are approved. Views,
clicks and charges become views and clicks with what they cost; offers that were never seen are
dropped, as nobody can see them any more.
"""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
from alembic import op
from sqlalchemy import select, text, update
from sqlalchemy.engine import Connection

from rookery.ads.ledger import schema
from rookery.ads.terms.files import slug_of

revision, down_revision = "0002", "0001"

_OLD = ("refusal", "charge", "click", "view", "offer", "campaign_day", "campaign")
_ROWS = 10_000


def upgrade() -> None:
    """Rename the old tables, make the new ones, carry everything over, and drop the old ones."""
    connection = op.get_bind()
    for name in _OLD:
        connection.execute(text(f"ALTER TABLE {name} RENAME TO old_{name}"))
    for index in ("offer_by_viewer", "offer_by_expiry"):
        connection.execute(text(f"DROP INDEX IF EXISTS {index}"))
    schema.create_tables(connection)
    keys = _carry_campaigns(connection)
    _carry_days(connection, keys)
    _carry_events(connection, keys)
    _carry_refusals(connection, keys)
    for name in _OLD:
        connection.execute(text(f"DROP TABLE old_{name}"))
    _carry_version(connection)


def _carry_version(connection: Connection) -> None:
    """Number the versions of what is sold, where they had digests.

    A simulated day (`town/advertising.py`) knows by it whether anything was sold since.
    """
    state = schema.state.c
    before = connection.execute(
        select(state.value).where(state.name == "campaigns_version")
    ).scalar()
    connection.execute(schema.state.delete().where(state.name == "campaigns_version"))
    connection.execute(schema.state.insert().values(name="book_version", value=b"1"))
    simulated = connection.execute(select(state.value).where(state.name == "simulation")).scalar()
    if simulated is not None:
        key, _, of_day = simulated.partition(b" ")
        told = key + (b" 1" if of_day == before else b" 0")
        connection.execute(
            update(schema.state).where(state.name == "simulation").values(value=told)
        )


def _carry_campaigns(connection: Connection) -> dict[str, int]:
    """Carry the campaigns over, and return the key of each."""
    rows = connection.execute(text("SELECT * FROM old_campaign ORDER BY id")).mappings().all()
    olds = [json.loads(row["definition"]) | {"spent": row["spent_micros"]} for row in rows]
    names = {one["advertiser"]: slug_of(one["advertiser"]) for one in olds}
    advertisers = {name: key for key, name in enumerate(sorted(names), 1)}
    _insert(connection, schema.advertiser, [
        {"key": key, "id": names[name], "name": name, "changed": 1}
        for name, key in advertisers.items()
    ])  # fmt: skip
    new = [_new_objects(key, old, advertisers) for key, old in enumerate(olds, 1)]
    tables = (schema.campaign, schema.ad_group, schema.ad, schema.ad_version)
    for place, table in enumerate(tables):
        _insert(connection, table, [objects[place] for objects in new])
    return {old["id"]: key for key, old in enumerate(olds, 1)}


def _new_objects(
    key: int, old: dict[str, Any], advertisers: dict[str, int]
) -> tuple[dict[str, Any], ...]:
    """Return the rows of a campaign, its group, its ad, and the ad's words."""
    views = old["views_per_viewer_per_day"]
    caps = [["campaign", views, 86_400]] if views else []
    targeting = {
        "keywords": [[word, "phrase"] for word in old["keywords"]],
        "excluded": [[word, "phrase"] for word in old["excluded_words"]],
        "languages": old["languages"],
    }
    named = {"key": key, "id": old["id"], "changed": 1}
    campaign = named | {
        "advertiser": advertisers[old["advertiser"]],
        "funding": None,
        "budget_micros": old["budget_micros"],
        "spent_micros": old["spent"],
        "daily_budget_micros": old["daily_budget_micros"],
        "zone": "UTC",
        "start": old["start_seconds"],
        "end": old["end_seconds"],
        "pays_for": "click",
        "caps": json.dumps(caps),
        "paused": old["paused"],
    }
    group = named | {
        "campaign": key,
        "bid_micros": old["bid_micros"],
        "strategy": "highest",
        "targeting": json.dumps(targeting),
        "paused": False,
    }
    words = {name: old[name] for name in ("title", "body", "url")}
    version = {"key": key, "ad": key, "number": 1, "review": "approved", "reason": ""} | words
    return campaign, group, named | {"ad_group": key, "paused": False}, version


def _carry_days(connection: Connection, keys: dict[str, int]) -> None:
    """Carry the days over, and open those on which something was seen or clicked for nothing."""
    days = {
        (keys[row.campaign], row.day): (row.budget_micros, row.spent_micros)
        for row in connection.execute(text("SELECT * FROM old_campaign_day"))
    }
    budgets: dict[int, int] = dict(
        connection.execute(
            text("SELECT key, coalesce(daily_budget_micros, budget_micros) FROM campaign")
        ).all()
    )
    for kind in ("view", "click"):
        events = connection.execute(text(
            f"SELECT o.campaign, e.at FROM old_{kind} e JOIN old_offer o ON o.auction = e.auction"
        ))  # fmt: skip
        for row in events:
            key = keys[row.campaign]
            days.setdefault((key, _day(row.at)), (budgets[key], 0))
    _insert(connection, schema.campaign_day, [
        {"campaign": key, "day": day, "budget_micros": budget, "spent_micros": spent}
        for (key, day), (budget, spent) in days.items()
    ])  # fmt: skip


def _carry_events(connection: Connection, keys: dict[str, int]) -> None:
    views = connection.execute(text(
        "SELECT o.*, v.at AS seen FROM old_view v JOIN old_offer o ON o.auction = v.auction"
    )).mappings()  # fmt: skip
    _insert(connection, schema.view, [
        {
            "offer": _number(row["auction"]),
            "at": row["seen"],
            "campaign": keys[row["campaign"]],
            "day": _day(row["seen"]),
            "micros": 0,
            "given": "",
            "ad_version": keys[row["campaign"]],
            "viewer": bytes.fromhex(row["viewer"]),
            "expires": row["expires"],
            "pctr": row["pctr"],
            "propensity": 1.0,
            "features": np.array(json.loads(row["features"]), "<u4").tobytes(),
        }
        for row in views
    ])  # fmt: skip
    clicks = connection.execute(text(
        "SELECT k.auction, k.at, o.campaign, c.micros, c.day FROM old_click k"
        " JOIN old_offer o ON o.auction = k.auction"
        " LEFT JOIN old_charge c ON c.auction = k.auction"
    ))  # fmt: skip
    _insert(connection, schema.click, [
        {
            "offer": _number(row.auction),
            "at": row.at,
            "campaign": keys[row.campaign],
            "day": row.day or _day(row.at),
            "micros": row.micros or 0,
            "given": "" if row.micros else "over_budget",
        }
        for row in clicks
    ])  # fmt: skip


def _carry_refusals(connection: Connection, keys: dict[str, int]) -> None:
    """Count what did not count by campaign and day; clicks given away are in their own rows now."""
    counts: dict[tuple[str, str, int, str], int] = {}
    for row in connection.execute(text(
        "SELECT r.kind, r.reason, r.times, r.at, o.campaign FROM old_refusal r"
        " LEFT JOIN old_offer o ON o.token = r.token"
    )):  # fmt: skip
        if not row.reason.startswith("over_"):
            named = row.kind, row.reason, keys.get(row.campaign, 0), _day(row.at)
            counts[named] = counts.get(named, 0) + row.times
    names = ("kind", "reason", "campaign", "day")
    _insert(connection, schema.refusal, [
        dict(zip(names, named, strict=True)) | {"times": times} for named, times in counts.items()
    ])  # fmt: skip


def _insert(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), _ROWS):
        connection.execute(table.insert(), rows[start : start + _ROWS])


def _number(auction: int) -> int:
    return auction << 2  # its last two bits are the place


def _day(at_seconds: int) -> str:
    return datetime.fromtimestamp(at_seconds, UTC).date().isoformat()
