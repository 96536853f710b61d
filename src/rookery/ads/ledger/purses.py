"""Purses: the budgets that a group of events is charged to, read once and locked until its commit.

An event that costs something is paid from the budget of its campaign, from that of its day in the
campaign's zone, and from money that the campaign shares: from all of them or from none. The
constraints of the database check what is written once more. Not here: what an event costs
(`booking.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, bindparam, select, tuple_, update
from sqlalchemy.engine import Connection

from rookery.ads.ledger.schema import campaign, campaign_day, funding
from rookery.ads.ledger.store import insert_rows
from rookery.ads.terms.days import date_in


@dataclass
class _Purse:
    """What is left of a budget while a group is charged, and what the group takes."""

    left: int
    taken: int = 0


class Purses:
    """The purses of some campaigns, locked in the order of their keys.

    All that a group may need are locked at once: two groups that lock some of each other's one
    after the other would wait for each other for ever.
    """

    def __init__(self, connection: Connection, campaigns: Iterable[int]) -> None:
        self._connection = connection
        rows = connection.execute(_CAMPAIGNS, {"keys": sorted(set(campaigns))}).all()
        self._campaigns = {r.key: _Purse(r.budget_micros - r.spent_micros) for r in rows}
        self._shares = {r.key: r.funding for r in rows}
        self._zones = {r.key: r.zone for r in rows}
        self._budgets = {r.key: r.daily_budget_micros or r.budget_micros for r in rows}
        shared = sorted({r.funding for r in rows if r.funding})
        of_fundings = connection.execute(_FUNDINGS, {"keys": shared}).all() if shared else []
        self._fundings = {r.key: _Purse(r.budget_micros - r.spent_micros) for r in of_fundings}
        self._days: dict[tuple[int, str], _Purse] = {}
        self._dates: dict[tuple[str, int], str] = {}

    def __contains__(self, campaign_key: int) -> bool:
        return campaign_key in self._campaigns

    def date_of(self, campaign_key: int, at_seconds: int) -> str:
        """Return the date of a moment in a campaign's zone."""
        named = self._zones[campaign_key], at_seconds
        if named not in self._dates:
            self._dates[named] = date_in(*named)
        return self._dates[named]

    def open_days(self, days: Iterable[tuple[int, str]]) -> None:
        """Read the rows of days by campaign and date, making those that are missing."""
        wanted = sorted(set(days) - set(self._days))
        if not wanted:
            return
        rows = self._connection.execute(_DAYS, {"days": wanted})
        found = {(r.campaign, r.day): _Purse(r.budget_micros - r.spent_micros) for r in rows}
        missing = [named for named in wanted if named not in found]
        new = [
            {"campaign": key, "day": day, "budget_micros": self._budgets[key], "spent_micros": 0}
            for key, day in missing
        ]
        insert_rows(self._connection, campaign_day, new)
        self._days |= found | {named: _Purse(self._budgets[named[0]]) for named in missing}

    def take(self, campaign_key: int, date: str, micros: int) -> str:
        """Take money, or return why there is not enough."""
        shares = self._shares[campaign_key]
        purses = {
            "over_budget": self._campaigns[campaign_key],
            "over_daily_budget": self._days[campaign_key, date],
        }
        if shares:
            purses["over_funding"] = self._fundings[shares]
        for reason, purse in purses.items():
            if purse.taken + micros > purse.left:
                return reason
        for purse in purses.values():
            purse.taken += micros
        return ""

    def write(self) -> None:
        """Write what was taken, each row once."""
        for statement, purses in ((_SPEND, self._campaigns), (_SPEND_FUNDING, self._fundings)):
            rows = [{"which": key, "more": p.taken} for key, p in purses.items() if p.taken]
            if rows:
                self._connection.execute(statement, rows)
        rows = [
            {"which": key, "date": day, "more": purse.taken}
            for (key, day), purse in self._days.items()
            if purse.taken
        ]
        if rows:
            self._connection.execute(_SPEND_DAY, rows)


# Built once, since they run with every group.
_KEYS: Any = bindparam("keys", expanding=True)
_CAMPAIGNS = (
    select(
        campaign.c.key,
        campaign.c.funding,
        campaign.c.zone,
        campaign.c.budget_micros,
        campaign.c.spent_micros,
        campaign.c.daily_budget_micros,
    )
    .where(campaign.c.key.in_(_KEYS))
    .order_by(campaign.c.key)  # two that book at once lock in one order
    .with_for_update()
)
_FUNDINGS = (
    select(funding.c.key, funding.c.budget_micros, funding.c.spent_micros)
    .where(funding.c.key.in_(_KEYS))
    .order_by(funding.c.key)
    .with_for_update()
)
_DAYS = select(campaign_day).where(
    tuple_(campaign_day.c.campaign, campaign_day.c.day).in_(bindparam("days", expanding=True))
)


def _spend(table: Table, *more: Any) -> Any:
    key: Any = table.c["key"] if "key" in table.c else table.c["campaign"]
    spent = table.c.spent_micros + bindparam("more")
    return update(table).where(key == bindparam("which"), *more).values(spent_micros=spent)


_SPEND, _SPEND_FUNDING = _spend(campaign), _spend(funding)
_SPEND_DAY = _spend(campaign_day, campaign_day.c.day == bindparam("date"))
