"""Explaining: an auction held again from its record is the same to the bit; reasons are counted."""

from datetime import timedelta

import numpy as np
import pytest

from rookery.ads.explain import explained, held_again, is_the_same, why
from rookery.ads.ledger.auctions import AuctionFiles, read_records
from rookery.ads.ledger.store import opened_store, reading
from rookery.ads.server import AdRequest, AdServer
from rookery.core.errors import UsageError
from rookery.core.protocols import HashedEmbedder
from tests.support.selling import campaign, sell


@pytest.fixture
def server(home, clock):
    with AdServer.of_home(home, HashedEmbedder(), clock) as opened:
        yield opened


def _many(server, count: int = 60) -> None:
    draw = np.random.default_rng(1)
    sell(
        server.store,
        *(
            campaign(
                f"c{n:03}",
                advertiser=f"A{n % 40}",
                bid_micros=int(draw.integers(1, 9)) * 50_000,
                pays_for=("click", "views", "conversion")[n % 3],
                ads=("Another",) * (n % 2),
            )
            for n in range(count)
        ),
    )


def test_every_auction_held_again_is_the_same_to_the_bit(home, server, clock):
    _many(server)
    numbers = []
    for n in range(40):
        clock.time += timedelta(seconds=30)
        offers = server.serve(AdRequest("tea and more", None, f"v{n}", places=1 + n % 4))
        numbers.append(offers[0].number)
        for offer in offers:
            server.view(offer.token), server.click(offer.token)
    server._flush(clock.now().timestamp())
    records = list(AuctionFiles(home.auctions).all())
    assert [record.auction for record in records] == numbers
    assert all(is_the_same(record) for record in records)
    assert all(len(held_again(record)) == record.places for record in records)
    assert all(record.ranked >= len(record.candidates) >= 32 for record in records)


def test_a_record_that_was_changed_is_not_the_same(home, server, clock):
    _many(server, 10)
    server.serve(AdRequest("tea", None, "ada"))
    server._flush(clock.now().timestamp())
    (record,) = AuctionFiles(home.auctions).all()
    changed = record.candidates.copy()
    changed["bid_micros"][record.sold[0].candidate] //= 4
    object.__setattr__(record, "candidates", changed)
    assert not is_the_same(record)


def test_an_auction_is_told_by_the_number_of_any_of_its_offers(home, server, clock):
    _many(server, 10)
    offers = server.serve(AdRequest("tea", None, "ada", places=2))
    server._flush(clock.now().timestamp())
    with opened_store(home) as store:
        told = explained(home, store, offers[1].number)
        assert told["same_again"]
        prices = {one["group"]: one["price"] for one in told["candidates"] if one["price"]}
        assert set(prices) == {offer.group for offer in offers}
        with pytest.raises(UsageError, match="no record of auction 4"):
            explained(home, store, 5)


def test_a_record_that_a_kill_cut_off_is_passed_over(home, server, clock):
    _many(server, 10)
    for n in range(3):
        server.serve(AdRequest("tea", None, f"v{n}"))
    server._flush(clock.now().timestamp())
    (path,) = home.auctions.iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    assert len(list(read_records(path))) == 2


def test_records_are_deleted_after_their_days(home, server, clock):
    _many(server, 10)
    for days in (0, 3, 8):
        clock.time += timedelta(days=days)
        server.serve(AdRequest("tea", None, "ada"))
        server._flush(clock.now().timestamp())
    assert len(list(home.auctions.iterdir())) == 1  # of eleven days, those of seven


def test_reasons_are_counted_by_group_and_told_for_a_campaign(home, server, clock):
    sell(
        server.store,
        campaign("best", bid_micros=900_000),
        campaign("other", advertiser="B"),
        campaign("german", advertiser="C", languages=("de",)),
        campaign("later", advertiser="D", start_seconds=2_000_000_000),
    )
    for n in range(5):
        server.serve(AdRequest("tea", "en", f"v{n}"))
    server._flush(clock.now().timestamp())
    with reading(server.store) as connection:
        told = {
            name: [(one.reason, one.times) for one in why(connection, name)]
            for name in ("best", "other", "german", "later")
        }
        with pytest.raises(UsageError, match="there is no campaign nothing"):
            why(connection, "nothing")
    assert told == {
        "best": [("offered", 5)],
        "other": [("outbid", 5)],
        "german": [("wrong_language", 5)],
        "later": [("outside_schedule", 5)],
    }
