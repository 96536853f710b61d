"""Fixtures for the tests of ads: stores of both databases, what they sell, and offers."""

import dataclasses

import pytest
from sqlalchemy import select

from rookery.ads.ledger.schema import campaign as campaigns
from rookery.ads.ledger.store import open_store, reading, sqlite_url
from rookery.ads.ledger.token import OfferTerms
from rookery.core.context import FixedClock
from tests.support.postgres import Postgres
from tests.support.selling import sell

NOW = 1_767_268_800  # 2026-01-01 12:00 UTC
LIFETIME_SECONDS = 1800


@pytest.fixture
def clock():
    return FixedClock()


@pytest.fixture
def store(tmp_path):
    opened = open_store(sqlite_url(tmp_path / "ads.sqlite"), synchronous="OFF")
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def postgres():
    server = Postgres()
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_store(request, tmp_path):
    """A store on each database."""
    if request.param == "sqlite":
        url = sqlite_url(tmp_path / "ads.sqlite")
    else:
        url = request.getfixturevalue("postgres").database()
    opened = open_store(url, synchronous="OFF")
    yield opened
    opened.dispose()


@pytest.fixture
def take(store):
    """Save what is sold in the store."""
    return lambda *books: sell(store, *books)


def an_offer(store, number: int, campaign: str = "tea", **terms) -> OfferTerms:
    """Make the terms of an offer of a campaign that has one ad."""
    with reading(store) as connection:
        key = connection.execute(select(campaigns.c.key).where(campaigns.c.id == campaign)).scalar()
    usual = OfferTerms(
        offer=number << 2,
        campaign=key,
        ad_version=key,
        viewer=b"somebody....",
        pays_for="click",
        price_micros=100_000,
        pctr=0.1,
        propensity=1.0,
        features=b"\1\0\0\0\2\0\0\0",
        at_seconds=NOW,
        expires_seconds=NOW + LIFETIME_SECONDS,
    )
    return dataclasses.replace(usual, **terms)
