"""The book: all that a store sells, read and written as the objects of `terms/objects.py`.

Every change has a number, the version of the book, and marks what it touched with it, so that ad
servers read only what changed since. Saving writes only what differs, in arrays. Nothing is ever
deleted: what is not to run is paused.

Every function works inside a transaction that is open. Not here: what a file may hold and how it is
merged (`terms/`).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Table, bindparam, func, or_, select, update
from sqlalchemy.engine import Connection

from rookery.ads.ledger import schema
from rookery.ads.ledger.store import get_state, insert_once, set_state
from rookery.ads.terms.money import as_currency
from rookery.ads.terms.objects import (
    Ad,
    AdBook,
    AdVersion,
    Advertiser,
    Campaign,
    Cap,
    Funding,
    Group,
    GroupBid,
    Keyword,
    KnownVersion,
    Listing,
    Review,
    Targeting,
)
from rookery.core.errors import UsageError

CURRENCY, BOOK_VERSION = "currency", "book_version"
_ROWS = 5_000
_T = TypeVar("_T")
_TABLES = {"campaign": schema.campaign, "group": schema.ad_group, "ad": schema.ad}


def book_version(connection: Connection) -> int:
    """Return the number of the last change; 0 before the first."""
    return int(get_state(connection, BOOK_VERSION) or b"0")


def currency_of(connection: Connection) -> str:
    """Return the currency of the books, "" before the first import."""
    return (get_state(connection, CURRENCY) or b"").decode()


def _parts(items: Iterable[_T]) -> Iterator[list[_T]]:
    """Yield items in parts that fit one statement."""
    rest = iter(items)
    while some := list(islice(rest, _ROWS)):
        yield some


# Reading
# -------------------------------------------------------------------------------------------------


def read_book(connection: Connection) -> AdBook:
    """Return all that is sold, in the order of ids."""
    advertisers = _by_key(connection, schema.advertiser, lambda r: Advertiser(r.id, r.name))
    fundings = _by_key(
        connection,
        schema.funding,
        lambda r: Funding(r.id, advertisers[r.advertiser].id, r.budget_micros),
    )
    campaigns = _by_key(
        connection,
        schema.campaign,
        lambda r: _campaign(
            r, advertisers[r.advertiser].id, fundings[r.funding].id if r.funding else ""
        ),
    )
    groups = _by_key(connection, schema.ad_group, lambda r: _group(r, campaigns[r.campaign].id))
    ads = _by_key(connection, schema.ad, lambda r: Ad(r.id, groups[r.ad_group].id, r.paused))
    versions = [
        _version(row, ads[row.ad].id) for row in connection.execute(select(schema.ad_version))
    ]
    return AdBook(
        currency_of(connection),
        _sorted(advertisers),
        _sorted(fundings),
        _sorted(campaigns),
        _sorted(groups),
        _sorted(ads),
        tuple(sorted(versions, key=lambda one: (one.ad, one.number))),
    )


def _by_key(connection: Connection, table: Table, made: Callable[[Any], Any]) -> dict[int, Any]:
    return {row.key: made(row) for row in connection.execute(select(table))}


def _sorted(objects: Mapping[int, Any]) -> tuple[Any, ...]:
    return tuple(sorted(objects.values(), key=lambda one: one.id))


def _campaign(row: Any, advertiser: str, funding: str) -> Campaign:
    return Campaign(
        id=row.id,
        advertiser=advertiser,
        budget_micros=row.budget_micros,
        daily_budget_micros=row.daily_budget_micros,
        funding=funding,
        zone=row.zone,
        start_seconds=row.start,
        end_seconds=row.end,
        pays_for=row.pays_for,
        caps=tuple(Cap(*one) for one in json.loads(row.caps)),
        paused=row.paused,
    )


def _group(row: Any, campaign: str) -> Group:
    bid = GroupBid(row.bid_micros, row.strategy)
    return Group(row.id, campaign, bid, _targeting(json.loads(row.targeting)), row.paused)


def _version(row: Any, ad: str) -> AdVersion:
    return AdVersion(ad, row.number, row.title, row.body, row.url, row.review, row.reason)


_WORDS = ("keywords", "excluded")


def _targeting(plain: Mapping[str, Any]) -> Targeting:
    fields: dict[str, Any] = {
        name: tuple(Keyword(*one) for one in value) if name in _WORDS else tuple(value)
        for name, value in plain.items()
    }
    return Targeting(**fields)


def plain_targeting(targeting: Targeting) -> str:
    """Return targeting as it is stored: JSON without what is empty."""
    plain: dict[str, Any] = {}
    for name in Targeting.__dataclass_fields__:
        if value := getattr(targeting, name):
            plain[name] = [[w.text, w.match] for w in value] if name in _WORDS else list(value)
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def plain_caps(caps: Sequence[Cap]) -> str:
    """Return caps as they are stored."""
    return json.dumps([[one.level, one.views, one.window_seconds] for one in caps])


def read_listings(connection: Connection, since: int = 0) -> Iterator[Listing]:
    """Yield the groups that changed after a version of the book, with all that sells them.

    A group has changed when it, its campaign, its advertiser or one of its ads has.
    """
    group, campaign, advertiser = schema.ad_group, schema.campaign, schema.advertiser
    changed: ColumnElement[bool] = or_(
        group.c.changed > since,
        campaign.c.changed > since,
        advertiser.c.changed > since,
        group.c.key.in_(select(schema.ad.c.ad_group).where(schema.ad.c.changed > since)),
    )
    chosen = select(group.c.key).select_from(group.join(campaign).join(advertiser))
    keys = connection.execute(chosen.where(changed).order_by(group.c.key)).scalars().all()
    for some in _parts(keys):
        yield from _listings(connection, some)


def _listings(connection: Connection, keys: Sequence[int]) -> Iterator[Listing]:
    versions, reviewed = _running_versions(connection, keys)
    campaigns = _campaigns_of(connection, keys)
    rows = connection.execute(
        select(schema.ad_group)
        .where(schema.ad_group.c.key.in_(keys))
        .order_by(schema.ad_group.c.key)
    )
    for row in rows:
        campaign, advertiser = campaigns[row.campaign]
        yield Listing(
            row.key,
            _group(row, campaign.id),
            row.campaign,
            campaign,
            advertiser,
            tuple(versions.get(row.key, ())),
            row.key in reviewed,
        )


def _campaigns_of(
    connection: Connection, keys: Sequence[int]
) -> dict[int, tuple[Campaign, Advertiser]]:
    """Return the campaigns of groups by their keys, each with its advertiser."""
    campaign, advertiser, funding = schema.campaign, schema.advertiser, schema.funding
    of_groups = select(schema.ad_group.c.campaign).where(schema.ad_group.c.key.in_(keys))
    rows = connection.execute(
        select(
            campaign,
            advertiser.c.id.label("advertiser_id"),
            advertiser.c.name.label("advertiser_name"),
            funding.c.id.label("funding_id"),
        )
        .select_from(
            campaign.join(advertiser).outerjoin(funding, campaign.c.funding == funding.c.key)
        )
        .where(campaign.c.key.in_(of_groups))
    )
    return {
        row.key: (
            _campaign(row, row.advertiser_id, row.funding_id or ""),
            Advertiser(row.advertiser_id, row.advertiser_name),
        )
        for row in rows
    }


def _running_versions(
    connection: Connection, keys: Sequence[int]
) -> tuple[dict[int, list[KnownVersion]], set[int]]:
    """Return the newest approved version of each ad that runs, by group; and groups that have any.

    An ad that is paused has none, but its group was reviewed.
    """
    ad, version = schema.ad, schema.ad_version
    rows = connection.execute(
        select(version, ad.c.id.label("ad_id"), ad.c.ad_group, ad.c.paused)
        .select_from(ad.join(version))
        .where(ad.c.ad_group.in_(keys), version.c.review == "approved")
        .order_by(ad.c.key, version.c.number)
    )
    newest: dict[int, tuple[int, KnownVersion]] = {}
    reviewed = set()
    for row in rows:
        reviewed.add(row.ad_group)
        if not row.paused:
            newest[row.ad] = row.ad_group, KnownVersion(row.key, _version(row, row.ad_id))
    found: dict[int, list[KnownVersion]] = {}
    for group, one in newest.values():
        found.setdefault(group, []).append(one)
    return found, reviewed


def url_of(connection: Connection, version_key: int) -> str | None:
    """Return where a version of an ad leads, or None if there is none of this key."""
    found = select(schema.ad_version.c.url).where(schema.ad_version.c.key == version_key)
    return connection.execute(found).scalar()


# Writing
# -------------------------------------------------------------------------------------------------


def save_book(connection: Connection, before: AdBook, after: AdBook) -> None:
    """Save what differs between two books.

    Raises `UsageError`, and saves nothing, if a budget would fall below what was spent of it.
    """
    if connection.dialect.name == "postgresql":  # two that save take turns
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7267)")
    insert_once(connection, schema.state, name=CURRENCY, value=after.currency.encode())
    _lock_differing(connection, schema.campaign, before.campaigns, after.campaigns)
    _lock_differing(connection, schema.funding, before.fundings, after.fundings)
    saving = _Saving(connection, book_version(connection) + 1)
    saving.save(schema.advertiser, before.advertisers, after.advertisers, _advertiser_row)
    saving.save(schema.funding, before.fundings, after.fundings, _funding_row)
    saving.save(schema.campaign, before.campaigns, after.campaigns, _campaign_row)
    saving.save(schema.ad_group, before.groups, after.groups, _group_row)
    saving.save(schema.ad, before.ads, after.ads, _ad_row)
    saving.save_versions(before.versions, after.versions)
    if saving.has_saved:
        set_state(connection, BOOK_VERSION, str(saving.version).encode())


def _lock_differing(
    connection: Connection, table: Table, before: Sequence[Any], after: Sequence[Any]
) -> None:
    """Lock the rows that will change, in the order in which booking locks them (`purses.py`)."""
    known = {one.id: one for one in before}
    differing = [one.id for one in after if one.id in known and known[one.id] != one]
    for some in _parts(differing):
        locked = select(table.c.key).where(table.c.id.in_(some)).order_by(table.c.key)
        connection.execute(locked.with_for_update())


class _Saving:
    """One saving. version: of the book after it."""

    def __init__(self, connection: Connection, version: int) -> None:
        self._connection, self.version, self.has_saved = connection, version, False
        self._keys: dict[Table, dict[str, int]] = {}

    def key(self, table: Table, name: str) -> int:
        """Return the key of an object by its id."""
        if table not in self._keys:
            rows = self._connection.execute(select(table.c.id, table.c.key))
            self._keys[table] = {row.id: row.key for row in rows}
        return self._keys[table][name]

    def save(
        self,
        table: Table,
        before: Sequence[Any],
        after: Sequence[Any],
        row_of: Callable[[Any, "_Saving"], dict[str, Any]],
    ) -> None:
        """Insert the objects that are new, and change those that differ."""
        known = {one.id: one for one in before}
        new = [one for one in after if one.id not in known]
        differing = [one for one in after if one.id in known and known[one.id] != one]
        if not new and not differing:
            return
        self.has_saved = True
        rows = [row_of(one, self) | {"changed": self.version} for one in differing]
        _refuse_spent(self._connection, table, rows)
        self._update(table, rows)
        first = self._next_key(table)
        added = [
            row_of(one, self) | {"key": key, "changed": self.version}
            for key, one in enumerate(new, first)
        ]
        _insert(self._connection, table, added)
        self._keys.pop(table, None)

    def _update(self, table: Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            values: dict[str, Any] = {
                name: bindparam(f"new_{name}") for name in rows[0] if name != "id"
            }
            statement = update(table).where(table.c.id == bindparam("new_id")).values(values)
            named = [{f"new_{name}": value for name, value in row.items()} for row in rows]
            self._connection.execute(statement, named)
        if table is schema.campaign:
            for row in rows:  # few have days that are open
                _rebudget_days(self._connection, self.key(table, row["id"]), row)

    def _next_key(self, table: Table) -> int:
        return (self._connection.execute(select(func.max(table.c.key))).scalar() or 0) + 1

    def save_versions(self, before: Sequence[AdVersion], after: Sequence[AdVersion]) -> None:
        """Insert the versions of ads that are new, and mark their ads as changed."""
        known = {(one.ad, one.number) for one in before}
        new = [one for one in after if (one.ad, one.number) not in known]
        if not new:
            return
        self.has_saved = True
        table = schema.ad_version
        rows = [
            {
                "key": key,
                "ad": self.key(schema.ad, one.ad),
                **{name: getattr(one, name) for name in _VERSION_FIELDS},
            }
            for key, one in enumerate(new, self._next_key(table))
        ]
        _insert(self._connection, table, rows)


_VERSION_FIELDS = ("number", "title", "body", "url", "review", "reason")


def _advertiser_row(one: Advertiser, saving: _Saving) -> dict[str, Any]:
    return {"id": one.id, "name": one.name}


def _funding_row(one: Funding, saving: _Saving) -> dict[str, Any]:
    advertiser = saving.key(schema.advertiser, one.advertiser)
    return {"id": one.id, "advertiser": advertiser, "budget_micros": one.budget_micros}


def _campaign_row(one: Campaign, saving: _Saving) -> dict[str, Any]:
    return {
        "id": one.id,
        "advertiser": saving.key(schema.advertiser, one.advertiser),
        "funding": saving.key(schema.funding, one.funding) if one.funding else None,
        "budget_micros": one.budget_micros,
        "daily_budget_micros": one.daily_budget_micros,
        "zone": one.zone,
        "start": one.start_seconds,
        "end": one.end_seconds,
        "pays_for": one.pays_for,
        "caps": plain_caps(one.caps),
        "paused": one.paused,
    }


def _group_row(one: Group, saving: _Saving) -> dict[str, Any]:
    return {
        "id": one.id,
        "campaign": saving.key(schema.campaign, one.campaign),
        "bid_micros": one.bid.micros,
        "strategy": one.bid.strategy,
        "targeting": plain_targeting(one.targeting),
        "paused": one.paused,
    }


def _ad_row(one: Ad, saving: _Saving) -> dict[str, Any]:
    group = saving.key(schema.ad_group, one.group)
    return {"id": one.id, "ad_group": group, "paused": one.paused}


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    for some in _parts(rows):
        connection.execute(table.insert(), some)


def _refuse_spent(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Raise `UsageError` if a budget would be below what was spent of it."""
    if "spent_micros" not in table.c:
        return
    budgets = {row["id"]: row["budget_micros"] for row in rows}
    for some in _parts(budgets):
        spent = select(table.c.id, table.c.spent_micros).where(table.c.id.in_(some))
        for row in connection.execute(spent):
            if row.spent_micros > budgets[row.id]:
                raise UsageError(
                    f"{table.name} {row.id}: budget {as_currency(budgets[row.id])} is below what "
                    f"is spent, {as_currency(row.spent_micros)}",
                    hint="Set the budget to at least that, or pause it",
                )


def _rebudget_days(connection: Connection, key: int, row: Mapping[str, Any]) -> None:
    """Give the days of a campaign its new daily budget, but never less than they have spent."""
    daily = row["daily_budget_micros"] or row["budget_micros"]
    day = schema.campaign_day
    spent_more = day.c.spent_micros > daily
    of_campaign = update(day).where(day.c.campaign == key)
    connection.execute(of_campaign.where(~spent_more).values(budget_micros=daily))
    connection.execute(of_campaign.where(spent_more).values(budget_micros=day.c.spent_micros))


def review(connection: Connection, ad: str, verdict: Review, reason: str) -> None:
    """Review the newest version of an ad; raise `UsageError` without such an ad."""
    key = _key_of(connection, "ad", ad)
    version = schema.ad_version
    newest = select(func.max(version.c.number)).where(version.c.ad == key).scalar_subquery()
    connection.execute(
        update(version)
        .where(version.c.ad == key, version.c.number == newest)
        .values(review=verdict, reason=reason)
    )
    _mark(connection, schema.ad, key)


def set_paused(connection: Connection, kind: str, name: str, paused: bool) -> None:
    """Pause or resume a campaign, a group or an ad; raise `UsageError` if it is not there."""
    table, key = _TABLES[kind], _key_of(connection, kind, name)
    connection.execute(update(table).where(table.c.key == key).values(paused=paused))
    _mark(connection, table, key)


def _key_of(connection: Connection, kind: str, name: str) -> int:
    table = _TABLES[kind]
    key = connection.execute(select(table.c.key).where(table.c.id == name)).scalar()
    if key is None:
        raise UsageError(f"there is no {kind} {name}", hint="`rookery ads export` lists them")
    return key


def _mark(connection: Connection, table: Table, key: int) -> None:
    """Mark a row as touched by a change of the book."""
    version = book_version(connection) + 1
    connection.execute(update(table).where(table.c.key == key).values(changed=version))
    set_state(connection, BOOK_VERSION, str(version).encode())
