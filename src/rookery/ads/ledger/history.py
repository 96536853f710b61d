"""History: what an auction reads of the ledger, and the name under which a viewer is counted.

An auction asks what each campaign has spent, and how often this viewer has seen it today. Viewers
appear under a pseudonym that changes every day. Nothing is written here: that is in `events.py`.
"""

import hashlib
from datetime import UTC, datetime

from sqlalchemy import and_, bindparam, func, or_, select
from sqlalchemy.engine import Connection

from rookery.ads.ledger.store import (
    RESTORE,
    VIEWER_KEY,
    campaign,
    campaign_day,
    get_state,
    offer,
    view,
)
from rookery.ads.select.eligibility import CampaignState
from rookery.core.errors import DataError


def pseudonym(connection: Connection, viewer: str, now_seconds: float) -> str:
    """Return a viewer's name in the ledger.

    It is a keyed hash and differs from day to day, so that nobody can put a profile together.
    Raises `DataError` if the store has lost its key.
    """
    key = get_state(connection, VIEWER_KEY)
    if key is None:
        raise DataError("the ads database has no key for viewers' names", hint=RESTORE)
    text = f"{day_of(now_seconds)} {viewer}"
    return hashlib.blake2b(text.encode(), key=key, digest_size=12).hexdigest()


def day_of(now_seconds: float) -> str:
    """Return the day (UTC) of a moment, such as 2026-01-31."""
    return datetime.fromtimestamp(now_seconds, UTC).date().isoformat()


def campaign_states(
    connection: Connection, viewer: str, now_seconds: int
) -> dict[str, CampaignState]:
    """Return what every campaign has spent, and how often one viewer (a pseudonym) saw it.

    An offer that was not seen yet counts as a view until it expires, so that no cap is passed.
    """
    values = {"day": day_of(now_seconds), "viewer": viewer, "now": now_seconds}
    views = {row[0]: row[1] for row in connection.execute(_VIEWS_OF_VIEWER, values)}
    return {
        row.id: CampaignState(row.spent, row.today or 0, views.get(row.id, 0))
        for row in connection.execute(_SPENT, values)
    }


# Built once, since they run with every request.
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
