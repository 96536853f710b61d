"""The ledger: offer, view, click, charge. Each event counts once, and no charge passes a budget.

Every function is one transaction, or works inside one. An event names its offer by the token, which
was made for one auction and is known to nobody else. An event that cannot count gets a `Drop`, and
its reason is stored. Events sent again, in any order and however often, leave the same ledger, as
each row has its auction's number as its key.

A click is charged in the transaction that counts it. If the budget no longer holds the price, the
click is free, and reported as given away. A visitor who is no person, or not the viewer to whom the
offer was made, counts for nothing (`traffic.py`). The tables are in `store.py`, the reads in
`history.py`.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Table, and_, bindparam, select, update
from sqlalchemy.engine import Connection, Engine, Row

from rookery.ads.ledger import store
from rookery.ads.ledger.history import day_of, pseudonym
from rookery.ads.ledger.store import campaign, campaign_day, charge, click, insert_once, offer, view
from rookery.ads.ledger.traffic import OTHER_VIEWER, Visitor, judge
from rookery.core.verdict import KEEP, Drop, Verdict

_Count = Callable[[Connection, Row], Verdict]


@dataclass(frozen=True)
class OfferTerms:
    """An offer as the ledger stores it: to whom, the price of a click, and what was predicted."""

    token: str
    campaign: str
    viewer: str  # a pseudonym, see `history.py`
    price_micros: int
    pctr: float
    features: tuple[int, ...]  # numbers of buckets, never words
    url: str


def add_offer(
    connection: Connection, terms: OfferTerms, now_seconds: int, lifetime_seconds: int
) -> None:
    """Store an offer, before it is shown to anybody."""
    times = {"at": now_seconds, "expires": now_seconds + lifetime_seconds}
    connection.execute(_ADD_OFFER, asdict(terms) | {"features": json.dumps(terms.features)} | times)


def add_view(
    engine: Engine, token: str, now_seconds: int, visitor: Visitor | None = None
) -> Verdict:
    """Count that an offer was seen; visitor: who reports it, None if the caller answers for it."""

    def count(connection: Connection, found: Row) -> Verdict:
        if now_seconds >= found.expires:
            return Drop("expired")
        is_first = insert_once(connection, view, auction=found.auction, at=now_seconds)
        return KEEP if is_first else Drop("duplicate")

    return _count_event(engine, "view", token, now_seconds, visitor, count)[0]


def add_click(
    engine: Engine, token: str, now_seconds: int, visitor: Visitor | None = None
) -> tuple[Verdict, str | None]:
    """Count and charge a click, and return where it leads, since even a refused one must arrive.

    visitor: as for a view.
    """

    def count(connection: Connection, found: Row) -> Verdict:
        # The view comes first: a click without one is refused for that, however late it is.
        if not connection.execute(_VIEW_OF, {"auction": found.auction}).first():
            return Drop("click_without_view")
        if now_seconds >= found.expires:
            return Drop("expired")
        if not insert_once(connection, click, auction=found.auction, at=now_seconds):
            return Drop("duplicate")
        return _charge(connection, found, now_seconds)

    return _count_event(engine, "click", token, now_seconds, visitor, count)


def _count_event(
    engine: Engine, kind: str, token: str, now_seconds: int, visitor: Visitor | None, count: _Count
) -> tuple[Verdict, str | None]:
    verdict = KEEP if visitor is None else judge(visitor)
    # In one transaction, so that a process that is killed leaves the whole event or none of it.
    with store.writing(engine) as connection:
        found = connection.execute(_OFFER_OF, {"token": token}).first()
        if found is None:
            verdict = Drop("unknown_offer")
        elif verdict == KEEP and visitor is not None:
            verdict = _is_viewer(connection, found, visitor)
        if found is not None and verdict == KEEP:
            verdict = count(connection, found)
        if isinstance(verdict, Drop):
            # Invented tokens share one row: nobody can fill the database with them.
            store.add_refusal(connection, kind, verdict.reason, token if found else "", now_seconds)
    return verdict, found.url if found else None


def _is_viewer(connection: Connection, found: Row, visitor: Visitor) -> Verdict:
    """Return whether a visitor is the viewer to whom the offer was made."""
    # by the day of the offer, since a viewer has another name tomorrow
    is_same = pseudonym(connection, visitor.viewer, found.at) == found.viewer
    return KEEP if visitor.viewer and is_same else Drop(OTHER_VIEWER)


def _charge(connection: Connection, found: Row, now_seconds: int) -> Verdict:
    day, price = day_of(now_seconds), found.price_micros
    store.open_day(connection, found.campaign, day)
    # Total and day are spent together or not at all; the click itself stays counted either way.
    with connection.begin_nested() as both:
        if not _spend(connection, campaign, campaign.c.id == found.campaign, price):
            return Drop("over_budget")
        this_day = and_(campaign_day.c.campaign == found.campaign, campaign_day.c.day == day)
        if not _spend(connection, campaign_day, this_day, price):
            both.rollback()
            return Drop("over_daily_budget")
    bill = {"auction": found.auction, "campaign": found.campaign, "day": day}
    connection.execute(charge.insert(), bill | {"micros": price, "at": now_seconds})
    return KEEP


def _spend(connection: Connection, table: Table, which: ColumnElement[bool], micros: int) -> bool:
    # Check and addition are one statement, so that two clicks at once cannot both take the rest.
    fits = table.c.spent_micros + micros <= table.c.budget_micros
    changed = update(table).where(which, fits).values(spent_micros=table.c.spent_micros + micros)
    return connection.execute(changed).rowcount == 1


# Built once, since they run with every request.
_ADD_OFFER = offer.insert()
_OFFER_OF = select(offer).where(offer.c.token == bindparam("token"))
_VIEW_OF = select(view.c.auction).where(view.c.auction == bindparam("auction"))
