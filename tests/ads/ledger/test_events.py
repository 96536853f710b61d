"""Offers, views, clicks and charges: each counts once, in whatever order events arrive."""

import multiprocessing
import os
import signal
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from rookery.ads.ledger import events as ledger
from rookery.ads.ledger.events import OfferTerms, add_click, add_view, store
from rookery.ads.ledger.store import click, reading, refusal, view, writing
from rookery.ads.report import inconsistencies, report_of
from rookery.ads.terms.campaigns import Campaign, Campaigns
from rookery.core.verdict import KEEP, Drop
from tests.ads.conftest import LIFETIME_SECONDS, NOW

URL = "https://example.com/tea"
DAY = 86_400


def _totals(engine) -> dict:
    with reading(engine) as connection:
        assert inconsistencies(connection) == []
        return report_of(connection)["totals"]


def test_an_offer_seen_and_clicked_is_charged_once(engine, take, a_campaign, offered):
    take(a_campaign())
    offered("t", price_micros=120_000)
    assert add_view(engine, "t", NOW + 1) == KEEP
    assert add_click(engine, "t", NOW + 2) == (KEEP, URL)
    totals = _totals(engine)
    assert (totals["views"], totals["clicks"], totals["spend_micros"]) == (1, 1, 120_000)


def test_what_cannot_count_is_dropped_with_a_reason_and_written_down(
    engine, take, a_campaign, offered
):
    take(a_campaign())
    offered("t"), offered("late")
    assert add_click(engine, "t", NOW) == (Drop("click_without_view"), URL)
    assert add_view(engine, "t", NOW) == KEEP
    assert add_view(engine, "t", NOW) == Drop("duplicate")
    assert add_click(engine, "t", NOW) == (KEEP, URL)
    assert add_click(engine, "t", NOW) == (Drop("duplicate"), URL)
    assert add_view(engine, "invented", NOW) == Drop("unknown_offer")
    assert add_click(engine, "invented", NOW) == (Drop("unknown_offer"), None)
    assert add_view(engine, "late", NOW + LIFETIME_SECONDS) == Drop("expired")
    assert _totals(engine)["refused"] == {
        "click click_without_view": 1,
        "click duplicate": 1,
        "click unknown_offer": 1,
        "view duplicate": 1,
        "view expired": 1,
        "view unknown_offer": 1,
    }


def test_made_up_tokens_do_not_fill_the_database(engine):
    for n in range(20):
        add_view(engine, f"invented {n}", NOW)
    with reading(engine) as connection:
        assert [(row.token, row.times) for row in connection.execute(refusal.select())] == [
            ("", 20)
        ]


def test_a_click_after_the_offer_has_expired_leads_on_and_costs_nothing(
    engine, take, a_campaign, offered
):
    take(a_campaign())
    offered("t")
    add_view(engine, "t", NOW)
    assert add_click(engine, "t", NOW + LIFETIME_SECONDS) == (Drop("expired"), URL)
    assert _totals(engine)["spend_micros"] == 0


def test_a_click_that_the_budget_does_not_hold_counts_and_is_given_away(
    engine, take, a_campaign, offered
):
    take(a_campaign(budget_micros=250_000))
    for token in "abc":
        offered(token, price_micros=100_000)
        add_view(engine, token, NOW)
    assert [add_click(engine, token, NOW)[0] for token in "abc"] == [
        KEEP,
        KEEP,
        Drop("over_budget"),
    ]
    totals = _totals(engine)
    assert (totals["clicks"], totals["clicks_given_away"], totals["spend_micros"]) == (
        3,
        1,
        200_000,
    )


def test_a_day_ends_at_its_budget_and_the_next_begins_anew(engine, take, a_campaign, offered):
    take(a_campaign(daily_budget_micros=250_000))
    for token in "abc":
        offered(token, price_micros=200_000, at=NOW)
        add_view(engine, token, NOW)
    assert [add_click(engine, token, NOW)[0] for token in "ab"] == [KEEP, Drop("over_daily_budget")]
    offered("d", price_micros=200_000, at=NOW + DAY)
    add_view(engine, "d", NOW + DAY)
    assert add_click(engine, "d", NOW + DAY)[0] == KEEP
    assert _totals(engine)["spend_micros"] == 400_000


EVENTS = st.lists(
    st.tuples(st.sampled_from(["view", "click"]), st.integers(0, 5), st.integers(0, 2400)),
    max_size=40,
)


@settings(max_examples=25, deadline=None)
@given(
    events=EVENTS,
    prices=st.lists(st.integers(1, 90_000), min_size=6, max_size=6),
    budget=st.integers(1, 200_000),
)
def test_whatever_is_sent_in_whatever_order_the_books_are_right(
    tmp_path_factory, events, prices, budget
):
    """Compare with a model in plain Python: which events count, and what is charged."""
    engine = store.open_store(
        store.sqlite_url(tmp_path_factory.mktemp("ledger") / "ads.sqlite"), "OFF"
    )
    _hot_campaign(engine, budget, prices)
    seen, clicked, spent, refused = set(), set(), 0, Counter()
    for kind, n, delay in events:
        done = seen if kind == "view" else clicked
        if kind == "click" and n not in seen:
            expected = Drop("click_without_view")
        elif delay >= LIFETIME_SECONDS:
            expected = Drop("expired")
        elif n in done:
            expected = Drop("duplicate")
        else:
            done.add(n)
            expected = KEEP
            if kind == "click" and spent + prices[n] > budget:
                expected = Drop("over_budget")
            elif kind == "click":
                spent += prices[n]
        assert _send(engine, kind, str(n), NOW + delay) == expected
        if expected != KEEP:
            refused[f"{kind} {expected.reason}"] += 1
    totals = _totals(engine)
    engine.dispose()
    assert (totals["views"], totals["clicks"], totals["spend_micros"]) == (
        len(seen),
        len(clicked),
        spent,
    )
    assert totals["refused"] == dict(refused)
    assert spent <= budget


def _hot_campaign(engine, budget: int, prices) -> None:
    terms = {"advertiser": "A", "title": "T", "body": "B", "url": URL, "bid_micros": 1}
    store.save_campaigns_into(
        engine, Campaigns("EUR", (Campaign(id="hot", budget_micros=budget, **terms),))
    )
    with writing(engine) as connection:
        for token, price in enumerate(prices):
            shown = OfferTerms(str(token), "hot", "v", price, 0.1, (), URL)
            ledger.add_offer(connection, shown, NOW, LIFETIME_SECONDS)


def _send(engine, kind: str, token: str, now: int):
    return add_view(engine, token, now) if kind == "view" else add_click(engine, token, now)[0]


OFFERS, PRICE = 120, 7


def _send_all(path, seed: int) -> None:
    """Send every event of every offer twice, in a random order."""
    import random

    engine = store.open_store(store.sqlite_url(path), "NORMAL")
    order = [(kind, str(n)) for n in range(OFFERS) for kind in ("view", "click")] * 2
    random.Random(seed).shuffle(order)
    for kind, token in order:
        _send(engine, kind, token, NOW)
    engine.dispose()


@pytest.mark.slow
def test_processes_at_one_hot_campaign_stop_together_at_its_budget(tmp_path):
    path = tmp_path / "ads.sqlite"
    engine = store.open_store(store.sqlite_url(path))
    _hot_campaign(engine, 500, [PRICE] * OFFERS)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_send_all, args=(path, seed)) for seed in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    _send_all(path, 99)  # whatever came before its view the first time
    totals = _totals(engine)
    engine.dispose()
    assert totals["views"] == totals["clicks"] == OFFERS
    assert totals["spend_micros"] == 500 // PRICE * PRICE
    assert totals["clicks_given_away"] == OFFERS - 500 // PRICE


@pytest.mark.slow
def test_killed_again_and_again_and_sent_anew_every_event_counts_once(tmp_path):
    path = tmp_path / "ads.sqlite"
    engine = store.open_store(store.sqlite_url(path))
    _hot_campaign(engine, 10_000, [PRICE] * OFFERS)
    context = multiprocessing.get_context("spawn")
    for seed in range(6):
        worker = context.Process(target=_send_all, args=(path, seed))
        worker.start()
        before, waited = _rows(engine), 0
        while _rows(engine) < before + 15 and worker.is_alive() and waited < 2000:
            time.sleep(0.005)
            waited += 1
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        assert (
            0 <= _totals(engine)["spend_micros"] <= OFFERS * PRICE
        )  # and the books agree after each kill
    _send_all(path, 7)
    _send_all(path, 8)
    totals = _totals(engine)
    engine.dispose()
    assert totals["views"] == totals["clicks"] == OFFERS
    assert totals["spend_micros"] == OFFERS * PRICE


def _rows(engine) -> int:
    with reading(engine) as connection:
        return sum(
            connection.execute(select(func.count()).select_from(t)).scalar_one()
            for t in (view, click, refusal)
        )
