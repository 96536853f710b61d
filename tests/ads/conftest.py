"""Fixtures for the tests of ads: campaigns, a store in a temporary file, and an offer in it."""

import pytest

from rookery.ads.ledger import events as ledger
from rookery.ads.ledger.events import OfferTerms, store
from rookery.ads.terms.campaigns import Campaign, Campaigns

NOW = 1_767_268_800  # 2026-01-01 12:00 UTC
LIFETIME_SECONDS = 1800


@pytest.fixture
def a_campaign():
    """Make a campaign with sensible terms, changed where a test cares."""

    def make(id: str = "tea", **terms) -> Campaign:
        usual = {
            "advertiser": "Tea House",
            "title": "Tea above the harbour",
            "body": "Forty teas.",
            "url": "https://example.com/tea",
            "bid_micros": 250_000,
            "budget_micros": 50_000_000,
            "keywords": ("tea",),
        }
        return Campaign(id=id, **(usual | terms))

    return make


@pytest.fixture
def engine(tmp_path):
    opened = store.open_store(store.sqlite_url(tmp_path / "ads.sqlite"), synchronous="OFF")
    yield opened
    opened.dispose()


@pytest.fixture
def take(engine):
    """Save campaigns in the store."""
    return lambda *campaigns: store.save_campaigns_into(engine, Campaigns("EUR", campaigns))


@pytest.fixture
def offered(engine):
    """Store an offer as the server does."""

    def offered(
        token: str, campaign: str = "tea", price_micros: int = 100_000, at: int = NOW, **terms
    ) -> str:
        usual = {
            "viewer": "somebody",
            "pctr": 0.1,
            "features": (1, 2),
            "url": "https://example.com/tea",
        }
        with store.writing(engine) as connection:
            terms = OfferTerms(
                token=token, campaign=campaign, price_micros=price_micros, **(usual | terms)
            )
            ledger.add_offer(connection, terms, at, LIFETIME_SECONDS)
        return token

    return offered
