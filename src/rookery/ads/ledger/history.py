"""History: what was seen before a process began: by whom, for caps, and the newest offer.

Nothing is written here: that is in `booking.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from rookery.ads.ledger.schema import ad, ad_version, view


@dataclass(frozen=True)
class PastView:
    """A view by the key of its group and of the version that was seen."""

    viewer: bytes
    offer: int
    at_seconds: int
    group: int
    version: int


def newest_offer(connection: Connection) -> int:
    """Return the greatest number of an offer that was seen, 0 if none was."""
    return connection.execute(select(func.max(view.c.offer))).scalar() or 0


def views_since(connection: Connection, since_seconds: float) -> Iterator[PastView]:
    """Yield the views since a moment, in the order of their times."""
    rows = connection.execute(
        select(view.c.viewer, view.c.offer, view.c.at, ad.c.ad_group, view.c.ad_version)
        .select_from(view.join(ad_version).join(ad))
        .where(view.c.expires > since_seconds, view.c.at > since_seconds)  # by its index
        .order_by(view.c.at, view.c.offer)
    )
    for row in rows:
        yield PastView(row.viewer, row.offer, row.at, row.ad_group, row.ad_version)
