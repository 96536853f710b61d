"""Several processes that serve from one store: no money promised twice, none kept by the dead."""

from datetime import timedelta

import pytest

from rookery.ads.ledger.audit import audit
from rookery.ads.ledger.engines import LIVES_SECONDS
from rookery.ads.ledger.store import open_store, reading, writing
from rookery.ads.market import BALANCES_SECONDS
from rookery.ads.report import report_of
from rookery.ads.server import AdRequest, AdServer
from rookery.core.protocols import ConstantPredictor, HashedEmbedder
from tests.support.selling import campaign, sell

CTR, PRICE = 0.25, 100_000


@pytest.fixture
def engines(any_store, clock):
    """Open so many servers of one store."""
    opened = []

    def make(count: int) -> list[AdServer]:
        for _ in range(count):
            store = open_store(any_store.url, "OFF")
            opened.append(AdServer(store, HashedEmbedder(), clock, ConstantPredictor(CTR)))
        clock.time += timedelta(seconds=BALANCES_SECONDS)  # by then each knows of the others
        return opened

    yield make
    for server in opened:
        server._booking.close()
        server.store.dispose()


def sold_by(server, clock, tag: str, most: int = 400) -> list:
    """Serve viewers, each another one, until nothing is offered, and return the offers."""
    offers = []
    for n in range(most):
        found = server.serve(AdRequest("tea", None, f"{tag}{n}"))
        if not found:
            break
        offers += found
    return offers


def totals(store) -> dict:
    with reading(store) as connection:
        assert audit(connection) == ()
        return report_of(connection)["totals"]


def test_what_all_promise_together_is_no_more_than_there_is(any_store, clock, engines):
    budget = 12 * PRICE
    sell(any_store, campaign(bid_micros=PRICE, budget_micros=budget))
    sell(any_store, campaign("rival", bid_micros=PRICE, advertiser="B", keywords=("tea",),
                             budget_micros=10**12))  # fmt: skip
    servers = engines(3)
    promised = 0
    for place, server in enumerate(servers):
        for n in range(300):
            (offer,) = server.serve(AdRequest("tea", None, f"{place}-{n}"))
            promised += round(offer.price_micros * CTR) if offer.campaign == "tea" else 0
    assert 0.8 * budget < promised <= budget


def test_the_last_money_that_is_too_little_to_part_is_spent_by_one(any_store, clock, engines):
    sell(any_store, campaign(bid_micros=10_000, budget_micros=10_000))
    servers = engines(3)
    offers = [sold_by(server, clock, f"{n}-") for n, server in enumerate(servers)]
    assert sum(bool(of) for of in offers) == 1


def test_what_a_process_that_was_killed_held_is_free_again(any_store, clock, engines):
    reserve = 10_000
    sell(any_store, campaign(bid_micros=reserve, budget_micros=8 * reserve))
    first, killed = engines(2)
    sold_by(killed, clock, "k")  # it is killed with all its promises out, and says nothing more
    mine = sold_by(first, clock, "a")
    assert len(mine) == pytest.approx(4 / CTR, abs=2)
    for offer in mine:
        first.view(offer.token)
    for offer in mine[:4]:
        first.click(offer.token)
    clock.time += timedelta(seconds=LIVES_SECONDS / 2)
    first.tick()
    clock.time += timedelta(seconds=LIVES_SECONDS / 2 + BALANCES_SECONDS)
    first.tick()
    assert sold_by(first, clock, "b")
    clock.time += timedelta(seconds=2_000)  # its own offers have expired
    first.tick()
    for offer in sold_by(first, clock, "c")[:4]:
        first.view(offer.token), first.click(offer.token)
    found = totals(any_store)
    assert (found["spend_micros"], found["clicks_given_away"]) == (8 * reserve, 0)


def test_engines_have_numbers_of_their_own_and_give_them_back(any_store, clock, engines):
    servers = engines(3)
    assert [server._engine for server in servers] == [0, 1, 2]
    with AdServer(open_store(any_store.url, "OFF"), HashedEmbedder(), clock) as another:
        assert another._engine == 3
    with AdServer(open_store(any_store.url, "OFF"), HashedEmbedder(), clock) as again:
        assert again._engine == 3
    with writing(any_store) as connection:
        assert audit(connection) == ()
