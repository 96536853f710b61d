"""Booking: views, clicks and conversions, each counted once and charged as its offer says.

Events arrive one by one and are booked in groups: one transaction for all that came while the last
one was written. Whoever reports an event is answered after the commit of its group. Events sent
again, in any order and however often, leave the same books, as each has its offer's number as its
key, and each needs the one before.

What is paid for is charged in the transaction that counts it, within the budget of the campaign,
of its day (in its own time zone) and of the money that it shares. An event for which they no longer
hold the price is counted and given away, and its row says why. What does not count at all is
counted among the refusals. Not here: whether a visitor is a person (`traffic.py`).
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Table, and_, bindparam, select, update
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from rookery.ads.ledger.purses import Purses
from rookery.ads.ledger.schema import click, conversion, refusal, view
from rookery.ads.ledger.store import insert_rows, writing
from rookery.ads.ledger.token import OfferTerms, utc_day
from rookery.ads.terms.objects import VIEWS_AT_ONCE, Payment
from rookery.core.errors import DataError, StorageError
from rookery.core.verdict import KEEP, Drop, Verdict

log = logging.getLogger(__name__)

Kind = Literal["view", "click", "conversion"]
CONVERSION_SECONDS = 7 * 86_400
"""How long after its offer a conversion counts."""
MOST_TOGETHER = 2_000
MOST_WAITING = 20_000
_MOST_COLLISIONS = 5
_REFUSAL = ("kind", "reason", "campaign", "day")

_TABLES: dict[str, Table] = {"view": view, "click": click, "conversion": conversion}
_AFTER = {"click": "view", "conversion": "click"}
PAID_BY: dict[Payment, Kind] = {"views": "view", "click": "click", "conversion": "conversion"}


@dataclass(frozen=True)
class AdEvent:
    """Something that is said to have happened to an offer. refused: why it cannot count, if known.

    terms: None for an offer that is unknown.
    """

    kind: Kind
    terms: OfferTerms | None
    at_seconds: int
    refused: str = ""


@dataclass(frozen=True)
class Booked:
    """What became of an event: whether it counts, if not for nothing, and what it cost."""

    verdict: Verdict
    micros: int = 0
    is_counted: bool = False


def cost_of(terms: OfferTerms, kind: str) -> int:
    """Return what an event costs, in micros: nothing unless its offer is paid by this kind.

    A view is a thousandth of the price of a thousand. What does not divide falls on some of the
    views, by the number of the offer, so that a thousand cost the price in the mean.
    """
    if PAID_BY[terms.pays_for] != kind:
        return 0
    if kind != "view":
        return terms.price_micros
    whole, rest = divmod(terms.price_micros, VIEWS_AT_ONCE)
    spread = (terms.offer >> 2) * 0x9E3779B97F4A7C15 >> 32
    return whole + (spread % VIEWS_AT_ONCE < rest)


def book(store: Engine, events: Sequence[AdEvent]) -> list[Booked]:
    """Book a group of events in one transaction, and return what became of each."""
    for _ in range(_MOST_COLLISIONS):
        try:
            with writing(store) as connection:
                return book_within(connection, events)
        except IntegrityError:  # another process booked one of them meanwhile: look again
            continue
    raise DataError("the ads ledger refuses an event of an ad that it does not know")


def book_within(connection: Connection, events: Sequence[AdEvent]) -> list[Booked]:
    """Book a group of events inside a transaction: views first, then what needs them."""
    found: list[Booked] = [Booked(KEEP)] * len(events)
    purses = Purses(connection, {event.terms.campaign for event in events if event.terms})
    for kind in _TABLES:
        mine = [n for n, event in enumerate(events) if event.kind == kind]
        booked = _book_kind(connection, kind, [events[n] for n in mine], purses)
        for n, one in zip(mine, booked, strict=True):
            found[n] = one
    purses.write()
    _count_refusals(connection, events, found)
    return found


def _book_kind(
    connection: Connection, kind: str, events: Sequence[AdEvent], purses: Purses
) -> list[Booked]:
    if not events:
        return []
    offers = {event.terms.offer for event in events if event.terms and not event.refused}
    known = _present(connection, _TABLES[kind], offers)
    before = _present(connection, _TABLES[_AFTER[kind]], offers) if kind in _AFTER else offers
    verdicts: list[Verdict] = []
    new: list[AdEvent] = []
    for event in events:
        reason = _refusal_of(kind, event, known, before)
        if event.terms and event.terms.campaign not in purses:
            reason = "unknown_offer"  # of a campaign that a restored backup does not have
        verdicts.append(Drop(reason) if reason else KEEP)
        if not reason and event.terms:
            known.add(event.terms.offer)
            new.append(event)
    costs = iter(_charge(connection, kind, new, purses))
    return [Booked(v) if v != KEEP else next(costs) for v in verdicts]


def _refusal_of(kind: str, event: AdEvent, known: set[int], before: set[int]) -> str:
    """Return why an event does not count, or ""."""
    if event.terms is None:
        return "unknown_offer"
    if event.refused:
        return event.refused
    if event.terms.offer not in before:
        # The view comes first: a click without one is refused for that, however late it is.
        return f"{kind}_without_{_AFTER[kind]}"
    lasts = CONVERSION_SECONDS if kind == "conversion" else 0
    if event.at_seconds >= event.terms.expires_seconds + lasts:
        return "expired"
    return "duplicate" if event.terms.offer in known else ""


def _present(connection: Connection, table: Table, offers: Iterable[int]) -> set[int]:
    """Return which offers have a row in a table."""
    wanted = list(offers)
    if not wanted:
        return set()
    return set(connection.execute(_PRESENT[table], {"offers": wanted}).scalars())


_PRESENT = {
    table: select(table.c.offer).where(table.c.offer.in_(bindparam("offers", expanding=True)))
    for table in _TABLES.values()
}


# Charging
# -------------------------------------------------------------------------------------------------


def _charge(
    connection: Connection, kind: str, events: Sequence[AdEvent], purses: Purses
) -> list[Booked]:
    """Insert the rows of events that count, and take what they cost."""
    told = [(e, e.terms, purses.date_of(e.terms.campaign, e.at_seconds)) for e in events if e.terms]
    purses.open_days((terms.campaign, day) for _, terms, day in told)
    booked, rows = [], []
    for event, terms, day in told:
        micros = cost_of(terms, kind)
        given = purses.take(terms.campaign, day, micros) if micros else ""
        micros = 0 if given else micros
        booked.append(Booked(Drop(given) if given else KEEP, micros, True))
        charged = {"campaign": terms.campaign, "day": day, "micros": micros, "given": given}
        rows.append(_row(kind, event, terms) | charged)
    insert_rows(connection, _TABLES[kind], rows, is_once=False)
    return booked


def _row(kind: str, event: AdEvent, terms: OfferTerms) -> dict[str, Any]:
    row: dict[str, Any] = {"offer": terms.offer, "at": event.at_seconds}
    if kind == "view":
        row |= {
            "ad_version": terms.ad_version,
            "viewer": terms.viewer,
            "expires": terms.expires_seconds,
            "pctr": terms.pctr,
            "propensity": terms.propensity,
            "features": terms.features,
        }
    return row


def _count_refusals(
    connection: Connection, events: Sequence[AdEvent], booked: Sequence[Booked]
) -> None:
    """Count what did not count, by kind, reason, campaign and day."""
    counts = Counter(
        (e.kind, b.verdict.reason, e.terms.campaign if e.terms else 0, utc_day(e.at_seconds))
        for e, b in zip(events, booked, strict=True)
        if isinstance(b.verdict, Drop) and not b.verdict.reason.startswith("over_")
    )
    rows = [dict(zip(_REFUSAL, named, strict=True)) for named in counts]
    insert_rows(connection, refusal, [row | {"times": 0} for row in rows])
    more = [
        {f"which_{name}": value for name, value in row.items()} | {"more": times}
        for row, times in zip(rows, counts.values(), strict=True)
    ]
    if more:
        connection.execute(_REFUSE, more)


_REFUSED: Any = and_(*(refusal.c[name] == bindparam(f"which_{name}") for name in _REFUSAL))
_REFUSE = update(refusal).where(_REFUSED).values(times=refusal.c.times + bindparam("more"))


# Groups
# -------------------------------------------------------------------------------------------------


class GroupBooking:
    """A thread that books what many threads report, a group at a time.

    on_booked: is told every event that was booked, after its commit. retry_seconds: for how long
    events wait for a database that does not answer, before whoever reports them is told so.
    """

    def __init__(
        self,
        store: Engine,
        on_booked: Callable[[AdEvent, Booked], None] = lambda event, booked: None,
        retry_seconds: float = 10.0,
    ) -> None:
        self._store, self._on_booked, self._retry = store, on_booked, retry_seconds
        self._waiting: list[tuple[AdEvent, Future[Booked]]] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="booking", daemon=True)
        self._thread.start()

    def submit(self, event: AdEvent) -> "Future[Booked]":
        """Take an event; the result is there when it was committed.

        The result is a `StorageError` if the database did not answer in time, or if so many wait
        that no more are taken: nothing was counted then.
        """
        future: Future[Booked] = Future()
        with self._changed:
            if self._closed or len(self._waiting) >= MOST_WAITING:
                state = "is closed" if self._closed else "does not keep up"
                future.set_exception(StorageError(f"the ads ledger {state}; nothing was counted"))
                return future
            self._waiting.append((event, future))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Book what waits, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                group = self._waiting[:MOST_TOGETHER]
                del self._waiting[:MOST_TOGETHER]
            if not group:
                return
            # whoever has gone meanwhile is not waited for, and its event not booked
            group = [one for one in group if one[1].set_running_or_notify_cancel()]
            if group:
                self._book(group)

    def _book(self, group: Sequence[tuple[AdEvent, "Future[Booked]"]]) -> None:
        events = [event for event, _ in group]
        try:
            booked = self._book_in_time(events)
        except Exception as error:  # whatever it is, those who wait are told
            if len(group) > 1 and not isinstance(error, StorageError):
                for alone in group:  # one that cannot be booked keeps no other from it
                    self._book([alone])
                return
            for _, future in group:
                future.set_exception(error)
            return
        for (event, future), one in zip(group, booked, strict=True):
            try:
                self._on_booked(event, one)  # first, so that who is answered meets what follows
            except Exception:  # it is booked, whatever follows of it here
                log.exception("what follows from a booking failed")
            future.set_result(one)

    def _book_in_time(self, events: Sequence[AdEvent]) -> list[Booked]:
        """Book a group, again and again while the database cannot be written, for some time."""
        until = time.monotonic() + self._retry
        while True:
            try:
                return book(self._store, events)
            except StorageError:
                if self._closed or time.monotonic() >= until:
                    raise
                time.sleep(0.1)
