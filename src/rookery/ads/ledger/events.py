"""The ledger: offer, view, click, charge. Each event counts once, and no charge passes a budget.

Every function is one transaction, or works inside one. An event names its offer by the token, which
was made for one auction and is known to nobody else. An event that cannot count gets a `Drop` with
its reason, and the reason is written down; sent again, in any order and however often, events leave
the same ledger, because each row has its auction's number as its key.

A click is charged in the transaction that counts it. If the budget does not hold the price any more
the click counts, is free of charge, and is reported as given away.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import and_, bindparam, func, or_, select, update
from sqlalchemy.engine import Connection, Engine, Row

from rookery.ads.ledger import store
from rookery.ads.ledger.store import (
    campaign,
    campaign_day,
    charge,
    click,
    get_state,
    insert_once,
    offer,
    refusal,
    view,
)
from rookery.ads.select.eligibility import CampaignState
from rookery.core.verdict import KEEP, Drop, Verdict


@dataclass(frozen=True)
class OfferTerms:
    """What is offered to whom: the price of a click, and what was predicted from which features
    (their buckets).
    """

    token: str
    campaign: str
    viewer: str
    price_micros: int
    pctr: float
    features: tuple[int, ...]
    url: str


def pseudonym(connection: Connection, viewer: str, now_seconds: float) -> str:
    """A viewer's name in the ledger: keyed, and another one each day, so that no profile can be put
    together.
    """
    key = get_state(connection, store.VIEWER_KEY)
    return hashlib.blake2b(
        f"{day_of(now_seconds)} {viewer}".encode(), key=key, digest_size=12
    ).hexdigest()


def day_of(now_seconds: float) -> str:
    """The day (UTC) of a moment, such as 2026-01-31."""
    return datetime.fromtimestamp(now_seconds, UTC).date().isoformat()


def add_offer(
    connection: Connection, terms: OfferTerms, now_seconds: int, lifetime_seconds: int
) -> None:
    """Write an offer down, before it is shown to anybody."""
    times = {"at": now_seconds, "expires": now_seconds + lifetime_seconds}
    connection.execute(_ADD_OFFER, asdict(terms) | {"features": json.dumps(terms.features)} | times)


def add_view(engine: Engine, token: str, now_seconds: int) -> Verdict:
    """Count that an offer was seen."""

    def count(connection: Connection, found: Row) -> Verdict:
        if now_seconds >= found.expires:
            return Drop("expired")
        return (
            KEEP
            if insert_once(connection, view, auction=found.auction, at=now_seconds)
            else Drop("duplicate")
        )

    return _take(engine, "view", token, now_seconds, count)[0]


def add_click(engine: Engine, token: str, now_seconds: int) -> tuple[Verdict, str | None]:
    """Count a click and charge it. Also returns where it leads: whoever clicked arrives, counted or
    not.
    """

    def count(connection: Connection, found: Row) -> Verdict:
        if not connection.execute(_VIEW_OF, {"auction": found.auction}).first():
            return Drop("click_without_view")
        if now_seconds >= found.expires:
            return Drop("expired")
        if not insert_once(connection, click, auction=found.auction, at=now_seconds):
            return Drop("duplicate")
        return _charge(connection, found, now_seconds)

    return _take(engine, "click", token, now_seconds, count)


def _take(
    engine: Engine,
    kind: str,
    token: str,
    now_seconds: int,
    count: Callable[[Connection, Row], Verdict],
) -> tuple[Verdict, str | None]:
    """Find the offer of an event, count the event, write down a refusal: one transaction."""
    with store.writing(engine) as connection:
        found = connection.execute(_OFFER_OF, {"token": token}).first()
        verdict = count(connection, found) if found else Drop("unknown_offer")
        if isinstance(verdict, Drop):
            _refuse(connection, kind, verdict.reason, token if found else "", now_seconds)
    return verdict, found.url if found else None


def _charge(connection: Connection, found: Row, now_seconds: int) -> Verdict:
    """Charge a click unless that would pass a budget."""
    day, price = day_of(now_seconds), found.price_micros
    _open_day(connection, found.campaign, day)
    with connection.begin_nested() as both:
        if not _spend(connection, campaign, campaign.c.id == found.campaign, price):
            return Drop("over_budget")
        this_day = and_(campaign_day.c.campaign == found.campaign, campaign_day.c.day == day)
        if not _spend(connection, campaign_day, this_day, price):
            both.rollback()
            return Drop("over_daily_budget")
    connection.execute(
        charge.insert().values(
            auction=found.auction, campaign=found.campaign, day=day, micros=price, at=now_seconds
        )
    )
    return KEEP


def _open_day(connection: Connection, campaign_id: str, day: str) -> None:
    """Make the row that holds a campaign's spend on a day; without a daily budget, the whole budget
    bounds it.
    """
    definition = connection.execute(
        select(campaign.c.definition).where(campaign.c.id == campaign_id)
    ).scalar_one()
    terms = json.loads(definition)
    budget = terms["daily_budget_micros"] or terms["budget_micros"]
    insert_once(
        connection,
        campaign_day,
        campaign=campaign_id,
        day=day,
        budget_micros=budget,
        spent_micros=0,
    )


def _spend(connection: Connection, table, which, micros: int) -> bool:
    fits = table.c.spent_micros + micros <= table.c.budget_micros
    changed = update(table).where(which, fits).values(spent_micros=table.c.spent_micros + micros)
    return connection.execute(changed).rowcount == 1


def _refuse(connection: Connection, kind: str, reason: str, token: str, now_seconds: int) -> None:
    if not insert_once(
        connection, refusal, kind=kind, reason=reason, token=token, times=1, at=now_seconds
    ):
        same = and_(refusal.c.kind == kind, refusal.c.reason == reason, refusal.c.token == token)
        connection.execute(
            update(refusal).where(same).values(times=refusal.c.times + 1, at=now_seconds)
        )


def campaign_states(
    connection: Connection, viewer: str, now_seconds: int
) -> dict[str, CampaignState]:
    """What was spent and shown so far, for every campaign and one viewer (a pseudonym).

    An offer that was not seen yet counts as a view until it expires, so that no cap is passed.
    """
    values = {"day": day_of(now_seconds), "viewer": viewer, "now": now_seconds}
    views = {row[0]: row[1] for row in connection.execute(_VIEWS_OF_VIEWER, values)}
    return {
        row.id: CampaignState(row.spent, row.today or 0, views.get(row.id, 0))
        for row in connection.execute(_SPENT, values)
    }


# Built once, as they run with every request.
_ADD_OFFER = offer.insert()
_OFFER_OF = select(offer).where(offer.c.token == bindparam("token"))
_VIEW_OF = select(view.c.auction).where(view.c.auction == bindparam("auction"))
_OF_DAY = and_(campaign_day.c.campaign == campaign.c.id, campaign_day.c.day == bindparam("day"))
_SPENT = select(
    campaign.c.id,
    campaign.c.spent_micros.label("spent"),
    campaign_day.c.spent_micros.label("today"),
).select_from(campaign.outerjoin(campaign_day, _OF_DAY))
_VIEWS_OF_VIEWER = (
    select(offer.c.campaign, func.count())
    .select_from(offer.outerjoin(view))
    .where(
        offer.c.viewer == bindparam("viewer"),
        or_(view.c.at.is_not(None), offer.c.expires > bindparam("now")),
    )
    .group_by(offer.c.campaign)
)
