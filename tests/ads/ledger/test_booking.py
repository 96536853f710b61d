"""Booking: each event counts once, in whatever order events arrive, and no budget is passed."""

import contextlib
import multiprocessing
import random
import sqlite3
import threading
import time
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from rookery.ads.ledger import schema
from rookery.ads.ledger.audit import audit
from rookery.ads.ledger.booking import CONVERSION_SECONDS, AdEvent, GroupBooking, book, cost_of
from rookery.ads.ledger.store import open_store, reading, sqlite_url, writing
from rookery.ads.report import report_of
from rookery.core.errors import DataError, StorageError
from rookery.core.verdict import KEEP, Drop
from tests.ads.conftest import LIFETIME_SECONDS, NOW, an_offer
from tests.support.postgres import Postgres
from tests.support.selling import campaign, funded, sell

DAY = 86_400


def totals(store) -> dict:
    with reading(store) as connection:
        assert audit(connection) == ()
        return report_of(connection)["totals"]


def told(store, *events) -> list:
    """Book events as one group, and return KEEP or the reason of each."""
    booked = book(store, [AdEvent(kind, terms, at) for kind, terms, at in events])
    return [getattr(one.verdict, "reason", "kept") for one in booked]


def test_an_offer_seen_and_clicked_is_charged_once(any_store):
    sell(any_store, campaign())
    offer = an_offer(any_store, 1, price_micros=120_000)
    assert told(any_store, ("view", offer, NOW + 1), ("click", offer, NOW + 2)) == ["kept"] * 2
    assert told(any_store, ("click", offer, NOW + 2)) == ["duplicate"]
    found = totals(any_store)
    assert (found["views"], found["clicks"], found["spend_micros"]) == (1, 1, 120_000)


def test_what_cannot_count_is_dropped_with_a_reason_and_counted(any_store):
    sell(any_store, campaign())
    offer, late = an_offer(any_store, 1), an_offer(any_store, 2)
    assert told(any_store, ("click", offer, NOW)) == ["click_without_view"]
    assert told(any_store, ("view", offer, NOW), ("view", offer, NOW)) == ["kept", "duplicate"]
    assert told(any_store, ("click", offer, NOW), ("click", offer, NOW)) == ["kept", "duplicate"]
    assert told(any_store, ("view", None, NOW), ("click", None, NOW)) == ["unknown_offer"] * 2
    assert told(any_store, ("view", late, NOW + LIFETIME_SECONDS)) == ["expired"]
    assert told(any_store, ("conversion", late, NOW)) == ["conversion_without_click"]
    assert totals(any_store)["refused"] == {
        "click click_without_view": 1,
        "click duplicate": 1,
        "click unknown_offer": 1,
        "conversion conversion_without_click": 1,
        "view duplicate": 1,
        "view expired": 1,
        "view unknown_offer": 1,
    }


def test_a_visitor_that_was_refused_counts_for_nothing(any_store):
    sell(any_store, campaign())
    offer = an_offer(any_store, 1)
    assert book(any_store, [AdEvent("view", offer, NOW, "robot")])[0].verdict == Drop("robot")
    found = totals(any_store)
    assert (found["views"], found["refused"]) == (0, {"view robot": 1})


def test_invented_tokens_do_not_fill_the_database(any_store):
    for _ in range(5):
        told(any_store, *[("view", None, NOW)] * 20)
    with reading(any_store) as connection:
        rows = connection.execute(schema.refusal.select()).all()
    assert [(row.reason, row.times) for row in rows] == [("unknown_offer", 100)]


def test_an_event_that_the_budget_does_not_hold_counts_and_is_given_away(any_store):
    sell(any_store, campaign(budget_micros=250_000))
    offers = [an_offer(any_store, n) for n in range(3)]
    told(any_store, *(("view", offer, NOW) for offer in offers))
    found = told(any_store, *(("click", offer, NOW) for offer in offers))
    assert found == ["kept", "kept", "over_budget"]
    found = totals(any_store)
    assert (found["clicks"], found["clicks_given_away"]) == (3, 1)
    assert found["spend_micros"] == 200_000


def test_a_day_ends_at_its_budget_in_the_zone_of_the_campaign(any_store):
    sell(any_store, campaign(daily_budget_micros=250_000, zone="Asia/Tokyo"))
    midnight = NOW + 3 * 3_600
    offers = [an_offer(any_store, n, price_micros=200_000,
                       expires_seconds=NOW + DAY) for n in range(3)]  # fmt: skip
    told(any_store, *(("view", offer, NOW) for offer in offers))
    clicks = [("click", offer, at) for offer, at in
              zip(offers, (NOW, midnight - 1, midnight), strict=True)]  # fmt: skip
    assert told(any_store, *clicks) == ["kept", "over_daily_budget", "kept"]
    assert totals(any_store)["spend_micros"] == 400_000
    with reading(any_store) as connection:
        given = connection.execute(select(schema.click.c.given)).scalars().all()
    assert sorted(given) == ["", "", "over_daily_budget"]


def test_money_that_is_shared_ends_for_all_that_share_it(any_store):
    sell(any_store, *(funded(campaign(name), "pot", 250_000) for name in ("a", "b")))
    offers = [an_offer(any_store, n, name) for n, name in enumerate("abab")]
    told(any_store, *(("view", offer, NOW) for offer in offers))
    found = told(any_store, *(("click", offer, NOW) for offer in offers))
    assert found == ["kept", "kept", "over_funding", "over_funding"]
    assert totals(any_store)["spend_micros"] == 200_000


def test_a_thousand_views_cost_their_price_and_conversions_may_come_days_later(any_store):
    sell(any_store, campaign())
    offers = [an_offer(any_store, n, pays_for="views", price_micros=2_345) for n in range(1_000)]
    told(any_store, *(("view", offer, NOW) for offer in offers))
    assert totals(any_store)["spend_micros"] == pytest.approx(2_345, abs=60)
    assert {cost_of(offer, "view") for offer in offers} == {2, 3}
    bought = an_offer(any_store, 5_000, pays_for="conversion")
    told(any_store, ("view", bought, NOW), ("click", bought, NOW))
    late = NOW + LIFETIME_SECONDS + CONVERSION_SECONDS
    assert told(any_store, ("conversion", bought, late)) == ["expired"]
    assert told(any_store, ("conversion", bought, late - 1)) == ["kept"]


def test_a_campaign_that_changes_while_offers_are_out_pays_what_was_offered(any_store):
    sell(any_store, campaign(budget_micros=500_000))
    offers = [an_offer(any_store, n) for n in range(3)]
    told(any_store, *(("view", offer, NOW) for offer in offers))
    told(any_store, ("click", offers[0], NOW))
    sell(any_store, campaign(budget_micros=300_000, bid_micros=50_000))
    sell(any_store, campaign(budget_micros=200_000, paused=True))
    found = told(any_store, *(("click", offer, NOW) for offer in offers[1:]))
    assert found == ["kept", "over_budget"]


def test_the_database_itself_refuses_what_booking_never_writes(any_store):
    sell(any_store, campaign())
    offer = an_offer(any_store, 1)
    told(any_store, ("view", offer, NOW))
    day = {"campaign": offer.campaign, "day": "2026-01-01", "micros": 0, "given": ""}
    for statement in (
        update(schema.campaign).values(spent_micros=50_000_001),
        update(schema.campaign_day).values(spent_micros=50_000_001),
        schema.click.insert().values(offer=99, at=NOW, **day),
        schema.conversion.insert().values(offer=offer.offer, at=NOW, **day),
        schema.click.insert().values(offer=offer.offer, at=NOW, **(day | {"day": "2026-01-02"})),
    ):
        with pytest.raises(IntegrityError), writing(any_store) as connection:
            connection.execute(statement)


EVENTS = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["view", "click"]), st.integers(0, 5), st.integers(0, 2400)),
        max_size=8,
    ),
    max_size=8,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    groups=EVENTS,
    prices=st.lists(st.integers(1, 90_000), min_size=6, max_size=6),
    budget=st.integers(1, 200_000),
)
def test_whatever_is_sent_in_whatever_order_the_books_are_right(
    tmp_path_factory, groups, prices, budget
):
    """Compare with a model in plain Python: which events count, and what is charged."""
    path = tmp_path_factory.mktemp("ledger") / "ads.sqlite"
    store = open_store(sqlite_url(path), "OFF")
    sell(store, campaign(budget_micros=budget, bid_micros=1))
    offers = [an_offer(store, n, price_micros=price) for n, price in enumerate(prices)]
    seen, clicked, spent, refused = set(), set(), 0, Counter()
    for group in groups:
        expected = {}
        for kind in ("view", "click"):  # within a group views come first
            for place, (what, n, delay) in enumerate(group):
                if what != kind:
                    continue
                done = seen if kind == "view" else clicked
                if kind == "click" and n not in seen:
                    reason = "click_without_view"
                elif delay >= LIFETIME_SECONDS:
                    reason = "expired"
                elif n in done:
                    reason = "duplicate"
                else:
                    done.add(n)
                    reason = "kept"
                    if kind == "click" and spent + prices[n] > budget:
                        reason = "over_budget"
                    elif kind == "click":
                        spent += prices[n]
                if reason not in ("kept", "over_budget"):
                    refused[f"{kind} {reason}"] += 1
                expected[place] = reason
        events = [(kind, offers[n], NOW + delay) for kind, n, delay in group]
        assert told(store, *events) == [expected[place] for place in range(len(group))]
    found = totals(store)
    store.dispose()
    assert (found["views"], found["clicks"]) == (len(seen), len(clicked))
    assert (found["spend_micros"], found["refused"]) == (spent, dict(refused))
    assert spent <= budget


# Groups
# -------------------------------------------------------------------------------------------------


def test_many_threads_are_answered_after_the_commit_of_their_group(any_store):
    sell(any_store, campaign())
    offers = [an_offer(any_store, n) for n in range(60)]
    booking, answers = GroupBooking(any_store), []

    def report(mine):
        for offer in mine:
            for kind in ("view", "click"):
                answers.append(booking.submit(AdEvent(kind, offer, NOW)).result().verdict)

    threads = [threading.Thread(target=report, args=(offers[n::6],)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    booking.close()
    assert answers == [KEEP] * 120
    assert totals(any_store)["clicks"] == 60


def test_what_waits_is_booked_before_it_closes_and_nothing_after(store):
    sell(store, campaign())
    booking = GroupBooking(store)
    futures = [booking.submit(AdEvent("view", an_offer(store, n), NOW)) for n in range(50)]
    booking.close()
    assert [future.result().verdict for future in futures] == [KEEP] * 50
    with pytest.raises(StorageError, match="is closed"):
        booking.submit(AdEvent("view", an_offer(store, 99), NOW)).result()


def test_an_event_that_cannot_be_booked_keeps_no_other_from_it(store):
    sell(store, campaign())
    offer = an_offer(store, 1)
    strangers = [replace(offer, campaign=77), replace(offer, ad_version=77)]  # of another backup
    booking = GroupBooking(store)
    events = [AdEvent("view", terms, NOW) for terms in (*strangers, an_offer(store, 2))]
    futures = [booking.submit(event) for event in events]
    booking.close()
    assert futures[0].result().verdict == Drop("unknown_offer")
    with pytest.raises(DataError, match="an ad that it does not know"):
        futures[1].result()
    assert futures[2].result().verdict == KEEP


def test_whoever_has_gone_and_what_follows_of_a_booking_end_no_booking(store):
    sell(store, campaign())

    def fails(event, booked):
        raise RuntimeError("what follows failed")

    booking = GroupBooking(store, fails)
    gone = [booking.submit(AdEvent("view", an_offer(store, n), NOW)) for n in range(50)]
    cancelled = sum(future.cancel() for future in gone)
    last = booking.submit(AdEvent("view", an_offer(store, 99), NOW))
    assert last.result(timeout=30).verdict == KEEP
    booking.close()
    assert totals(store)["views"] == 51 - cancelled


def test_a_full_disk_is_told_and_what_was_answered_stays(tmp_path):
    store = open_store(sqlite_url(tmp_path / "ads.sqlite"))
    sell(store, campaign())
    offers = [an_offer(store, n, features=b"x" * 4_000) for n in range(40)]
    assert told(store, ("view", offers[0], NOW)) == ["kept"]
    with contextlib.closing(sqlite3.connect(tmp_path / "ads.sqlite")) as other:
        pages = other.execute("PRAGMA page_count").fetchone()[0]

    def small(connection, record):
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")

    from sqlalchemy import event

    event.listen(store, "connect", small)
    store.dispose()  # every connection from now on meets a full disk
    booking = GroupBooking(store, retry_seconds=0.3)
    futures = [booking.submit(AdEvent("view", offer, NOW)) for offer in offers[1:]]
    errors = [future.exception() for future in futures]
    assert all(isinstance(error, StorageError) for error in errors if error)
    assert any(errors)
    assert "cannot be written" in next(error.line() for error in errors if error)
    event.remove(store, "connect", small)
    store.dispose()
    again = [booking.submit(AdEvent("view", offer, NOW)) for offer in offers[1:]]
    kept = [future.result().verdict for future in again]
    booking.close()
    assert [one == KEEP for one in kept] == [error is not None for error in errors]
    assert totals(store)["views"] == 40
    store.dispose()


def test_a_lock_that_another_process_holds_is_waited_for(tmp_path):
    store = open_store(sqlite_url(tmp_path / "ads.sqlite"))
    sell(store, campaign())
    booking, offer = GroupBooking(store), an_offer(store, 1)
    with contextlib.closing(sqlite3.connect(tmp_path / "ads.sqlite")) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        future = booking.submit(AdEvent("view", offer, NOW))
        time.sleep(0.3)
        assert not future.done()
        other.execute("ROLLBACK")
    assert future.result(timeout=30).verdict == KEEP
    booking.close()
    store.dispose()


@pytest.fixture
def durable_postgres():
    """A server that keeps what it has committed when it is killed."""
    server = Postgres(durable=True)
    yield server
    server.remove()


def test_a_database_that_is_restarted_is_waited_for(durable_postgres):
    postgres = durable_postgres
    store = open_store(postgres.database())
    sell(store, campaign())
    booking = GroupBooking(store, retry_seconds=60)
    first, second = an_offer(store, 1), an_offer(store, 2)
    assert booking.submit(AdEvent("view", first, NOW)).result().verdict == KEEP
    postgres.stop("immediate")
    future = booking.submit(AdEvent("view", second, NOW))
    time.sleep(0.3)
    assert not future.done()
    postgres.start()
    assert future.result(timeout=60).verdict == KEEP
    booking.close()
    assert totals(store)["views"] == 2
    store.dispose()


@pytest.mark.slow
def test_processes_that_book_each_other_s_campaigns_do_not_wait_for_ever(postgres):
    url = postgres.database()
    store = open_store(url)
    sell(store, campaign("a"), campaign("b", advertiser="B"))
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_book_crosswise, args=(url, turn)) for turn in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert totals(store)["clicks"] == 2 * CROSSED
    store.dispose()


CROSSED = 150


def _book_crosswise(url: str, turn: int) -> None:
    """Book a view of one campaign and a click on the other in each group."""
    store = open_store(url)
    names = ("a", "b") if turn else ("b", "a")
    offers = [an_offer(store, 1_000 * turn + n, names[n % 2]) for n in range(CROSSED + 1)]
    book(store, [AdEvent("view", offers[0], NOW)])
    for before, after in pairwise(offers):
        book(store, [AdEvent("view", after, NOW), AdEvent("click", before, NOW)])
    store.dispose()


# Kills
# -------------------------------------------------------------------------------------------------

OFFERS, AGAIN, PRICE = 60, 60, 7


def _send_all(url: str, first: int, count: int, acknowledged: str) -> None:
    """Send every event of some offers again and again; write down what was acknowledged."""
    store = open_store(url, "NORMAL")
    usual = an_offer(store, 0, price_micros=PRICE)
    offers = {n: replace(usual, offer=n << 2) for n in range(max(0, first), first + count)}
    order = [(kind, n) for n in offers for kind in ("view", "click")] * 4
    random.Random(first).shuffle(order)
    booking = GroupBooking(store)
    with open(acknowledged, "a", buffering=1, encoding="ascii") as log:
        for start in range(0, len(order), 8):
            some = order[start : start + 8]
            futures = [booking.submit(AdEvent(kind, offers[n], NOW)) for kind, n in some]
            for (kind, n), future in zip(some, futures, strict=True):
                if future.result().is_counted:
                    log.write(f"{kind} {n}\n")
    booking.close()
    store.dispose()


def _killed_and_sent_anew(url: str, folder, kills: int) -> None:
    """Kill four processes again and again, each at new offers and at some that others send, too;
    then send all once more and compare the books.
    """
    store, total = open_store(url), OFFERS * (kills + 4)
    budget = total * PRICE // 2 + 3  # for half of all clicks, and a rest
    sell(store, campaign(budget_micros=budget, bid_micros=PRICE))
    context, draw = multiprocessing.get_context("spawn"), random.Random(1)

    def begun(number: int):
        arguments = (url, OFFERS * number - AGAIN, OFFERS + AGAIN, str(folder / f"log{number % 4}"))
        process = context.Process(target=_send_all, args=arguments)
        process.start()
        return process

    workers = [begun(number) for number in range(4)]
    for kill in range(kills):
        before, until = _booked(store), time.monotonic() + 5
        while _booked(store) < before + draw.randrange(1, 60) and time.monotonic() < until:
            time.sleep(0.005)  # in the middle of something
        place = kill % 4
        workers[place].kill()  # SIGKILL
        workers[place].join()
        workers[place] = begun(4 + kill)
        if kill % 20 == 0:
            totals(store)
    for worker in workers:
        worker.join()
    usual = an_offer(store, 0, price_micros=PRICE)
    for start in range(0, total, 500):  # whatever clicks came before their views every time
        some = [replace(usual, offer=n << 2) for n in range(start, min(start + 500, total))]
        book(store, [AdEvent(kind, offer, NOW) for kind in ("view", "click") for offer in some])
    found = totals(store)
    with reading(store) as connection:
        booked = {
            f"{kind} {offer >> 2}"
            for kind, table in (("view", schema.view), ("click", schema.click))
            for offer in connection.execute(select(table.c.offer)).scalars()
        }
    store.dispose()
    logged = [line for path in folder.glob("log*") for line in path.read_text().splitlines()]
    assert len(logged) > total // 4
    assert set(logged) <= booked  # what was acknowledged is there
    assert len(logged) == len(set(logged))  # and was acknowledged as counted once
    assert found["views"] == found["clicks"] == total
    assert found["spend_micros"] == budget // PRICE * PRICE
    assert found["clicks_given_away"] == total - budget // PRICE


def _booked(store) -> int:
    with reading(store) as connection:
        return connection.execute(select(func.count()).select_from(schema.view)).scalar_one()


@pytest.mark.slow
def test_killed_and_sent_anew_by_four_processes_every_event_counts_once(any_store, tmp_path):
    _killed_and_sent_anew(any_store.url.render_as_string(False), tmp_path, kills=8)


@pytest.mark.soak
def test_two_hundred_kills_leave_the_books_of_a_plain_model(any_store, tmp_path):
    _killed_and_sent_anew(any_store.url.render_as_string(False), tmp_path, kills=200)
