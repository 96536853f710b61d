"""Whole days: one that is the same in every release, and one on which an unlucky ad is found."""

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from rookery.ads import server as module
from rookery.ads.ledger.booking import AdEvent, book
from rookery.ads.ledger.store import open_store, sqlite_url
from rookery.ads.predict.exploring import Choice
from rookery.ads.server import OFFER_LIFETIME_SECONDS, AdRequest, AdServer
from rookery.core.context import FixedClock
from rookery.core.protocols import HashedEmbedder
from rookery.town.day import DAY_BEGINS
from rookery.town.themes import make_market, town_themes
from tests.ads.conftest import an_offer
from tests.support.selling import campaign, sell

GOLDEN = Path(__file__).parents[1] / "golden" / "auction_day.json"
SEARCHES = 400


def a_day(store, clock) -> list[list]:
    """Return what a day of auctions sells in the built-in town, each offer with its price."""
    market, draw = make_market(town_themes(), 1), np.random.default_rng(7)
    sell(store, market.book)
    words = [word for theme in market.themes for word in theme.words]
    told = []
    with AdServer(store, HashedEmbedder(), clock) as server:
        for n in range(SEARCHES):
            clock.time = DAY_BEGINS + timedelta(seconds=n * 86_400 / SEARCHES)
            # nothing is learned: a last bit of a vector would become another bid by the evening
            text = " ".join(draw.choice(words, 3))
            request = AdRequest(text, None, f"v{n % 40}", places=1 + n % 4)
            offers = server.serve(request)
            told.append([[offer.campaign, offer.price_micros] for offer in offers])
            for offer in offers:
                server.view(offer.token)
                if draw.random() < 0.2:
                    server.click(offer.token)
    return told


def test_a_day_of_auctions_is_the_same_in_every_release(store, clock):
    """Made by `python -m tests.ads.test_days`, only when auctions change on purpose."""
    told, golden = a_day(store, clock), json.loads(GOLDEN.read_text())
    assert [[name for name, _ in one] for one in told] == [
        [name for name, _ in one] for one in golden
    ]
    prices, expected = (
        np.array([price for one in day for _, price in one]) for day in (told, golden)
    )
    # processors round the last bit of a vector differently
    assert np.abs(prices - expected).max() <= 2


CTR, BETTER, VIEWS = 0.03, 0.09, 3_000


def lived(store, clock, monkeypatch, explores: bool) -> tuple[float, float]:
    """Return how often the better ad was shown in the last quarter, and the day's regret."""
    sell(store, campaign(ads=("The better one",), bid_micros=10_000, budget_micros=10**12))
    unlucky = [
        an_offer(store, n, ad_version=2, at_seconds=0, expires_seconds=OFFER_LIFETIME_SECONDS)
        for n in range(1, 41)
    ]
    known = [
        an_offer(store, n, ad_version=1, at_seconds=0, expires_seconds=OFFER_LIFETIME_SECONDS)
        for n in range(41, 241)
    ]
    book(store, [AdEvent("view", terms, 0) for terms in (*unlucky, *known)])
    book(store, [AdEvent("click", terms, 0) for terms in known[:6]])
    if not explores:

        def the_best_so_far(allowed, views, clicks, random):
            return Choice(int(np.argmax((clicks + 0.4) / (views + 20))), 1.0, False)

        monkeypatch.setattr(module, "chosen_ad", the_best_so_far)
    draw, shown = np.random.default_rng(3), []
    with AdServer(store, HashedEmbedder(), clock) as server:
        for n in range(VIEWS):
            clock.time = DAY_BEGINS + timedelta(seconds=n * 86_400 / VIEWS)
            server.learn()
            (offer,) = server.serve(AdRequest("tea", None, f"v{n}"))
            is_better = offer.title == "The better one"
            shown.append(is_better)
            server.view(offer.token)
            if draw.random() < (BETTER if is_better else CTR):
                server.click(offer.token)
    regret = float((BETTER - CTR) * (~np.array(shown)).sum())
    return float(np.mean(shown[-VIEWS // 4 :])), regret


@pytest.mark.slow
def test_an_ad_with_three_times_the_rate_that_began_unlucky_is_found(tmp_path, monkeypatch):
    found, regrets = [], []
    for explores in (True, False):
        store = open_store(sqlite_url(tmp_path / f"{explores}.sqlite"), "OFF")
        with monkeypatch.context() as patch:
            share, regret = lived(store, FixedClock(), patch, explores)
        found.append(share)
        regrets.append(regret)
    assert found[0] > 0.9
    assert found[1] < 0.1
    assert regrets[0] < 0.5 * regrets[1]


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        opened = open_store(sqlite_url(Path(folder) / "ads.sqlite"), "OFF")
        lines = ",\n".join(json.dumps(one) for one in a_day(opened, FixedClock()))
        GOLDEN.write_text(f"[{lines}]\n")
