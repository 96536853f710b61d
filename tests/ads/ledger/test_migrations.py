"""Migrations: a store of the first release goes on, with all its money where it was."""

import json
import sqlite3
from datetime import UTC, datetime

import pytest

from rookery.ads import sold
from rookery.ads.ledger.audit import audit
from rookery.ads.ledger.book import read_listings
from rookery.ads.ledger.store import get_state, open_store, reading, sqlite_url
from rookery.ads.report import report_of
from rookery.ads.server import AdRequest, AdServer
from rookery.ads.terms.objects import Cap, Keyword
from rookery.core.context import FixedClock
from rookery.core.protocols import HashedEmbedder

# The schema of the first release, as it wrote it.
FIRST = """
CREATE TABLE campaign (id VARCHAR(64) NOT NULL, definition TEXT NOT NULL,
    budget_micros BIGINT NOT NULL, spent_micros BIGINT NOT NULL, PRIMARY KEY (id),
    CONSTRAINT campaign_within_budget
        CHECK (0 <= spent_micros AND spent_micros <= budget_micros));
CREATE TABLE campaign_day (campaign VARCHAR(64) NOT NULL, day VARCHAR(10) NOT NULL,
    budget_micros BIGINT NOT NULL, spent_micros BIGINT NOT NULL, PRIMARY KEY (campaign, day),
    FOREIGN KEY(campaign) REFERENCES campaign (id));
CREATE TABLE offer (auction INTEGER NOT NULL, token VARCHAR(64) NOT NULL,
    campaign VARCHAR(64) NOT NULL, viewer VARCHAR(32) NOT NULL, price_micros BIGINT NOT NULL,
    pctr FLOAT NOT NULL, features TEXT NOT NULL, url TEXT NOT NULL, at BIGINT NOT NULL,
    expires BIGINT NOT NULL, PRIMARY KEY (auction), UNIQUE (token),
    FOREIGN KEY(campaign) REFERENCES campaign (id));
CREATE TABLE view (auction INTEGER NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (auction),
    FOREIGN KEY(auction) REFERENCES offer (auction));
CREATE TABLE click (auction INTEGER NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (auction),
    FOREIGN KEY(auction) REFERENCES view (auction));
CREATE TABLE charge (auction INTEGER NOT NULL, campaign VARCHAR(64) NOT NULL,
    day VARCHAR(10) NOT NULL, micros BIGINT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (auction),
    FOREIGN KEY(campaign, day) REFERENCES campaign_day (campaign, day),
    FOREIGN KEY(auction) REFERENCES click (auction));
CREATE TABLE refusal (kind VARCHAR(8) NOT NULL, reason VARCHAR(32) NOT NULL,
    token VARCHAR(64) NOT NULL, times BIGINT NOT NULL, at BIGINT NOT NULL,
    PRIMARY KEY (kind, reason, token));
CREATE TABLE state (name VARCHAR(64) NOT NULL, value BLOB NOT NULL, PRIMARY KEY (name));
CREATE INDEX offer_by_viewer ON offer (viewer);
CREATE INDEX offer_by_expiry ON offer (expires);
"""
NOW = 1_767_268_800  # 2026-01-01 12:00 UTC
TEA = {
    "id": "tea", "advertiser": "Tea House", "title": "Tea", "body": "Forty teas.",
    "url": "https://example.com/tea", "bid_micros": 250_000, "budget_micros": 1_000_000,
    "daily_budget_micros": 500_000, "keywords": ["tea"], "excluded_words": ["coffee"],
    "languages": ["en"], "start_seconds": None, "end_seconds": None,
    "views_per_viewer_per_day": 3, "paused": False,
}  # fmt: skip


@pytest.fixture
def old(tmp_path):
    """The path of a store of the first release, with events of every kind."""
    path = tmp_path / "ads.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(FIRST)
        execute = connection.execute
        for name in ("tea", "rum"):
            terms = TEA | {"id": name, "paused": name == "rum"}
            spent = 200_000 if name == "tea" else 0
            execute("INSERT INTO campaign VALUES (?, ?, ?, ?)",
                    [name, json.dumps(terms), 1_000_000, spent])  # fmt: skip
        execute("INSERT INTO campaign_day VALUES ('tea', '2026-01-01', 500000, 200000)")
        for n in range(1, 5):
            execute("INSERT INTO offer VALUES (?, ?, 'tea', ?, 100000, .1, '[5, 9]', 'u', ?, ?)",
                    [n, f"t{n}", "00" * 12, NOW, NOW + 1800])  # fmt: skip
        for n in (1, 2, 3):
            execute("INSERT INTO view VALUES (?, ?)", [n, NOW + n])
            execute("INSERT INTO click VALUES (?, ?)", [n, NOW + n])
        for n in (1, 2):
            execute("INSERT INTO charge VALUES (?, 'tea', '2026-01-01', 100000, ?)", [n, NOW])
        execute("INSERT INTO refusal VALUES ('click', 'over_daily_budget', 't3', 1, ?)", [NOW])
        execute("INSERT INTO refusal VALUES ('view', 'robot', 't1', 4, ?)", [NOW])
        execute("INSERT INTO refusal VALUES ('view', 'unknown_offer', '', 7, ?)", [NOW])
        for name, value in (("format", b"1"), ("viewer_key", b"k" * 32), ("currency", b"EUR"),
                            ("campaigns_version", b"abc"), ("learned_until", b"5")):  # fmt: skip
            execute("INSERT INTO state VALUES (?, ?)", [name, value])
    connection.close()
    return path


def test_a_store_of_the_first_release_has_the_same_money_after_it(old):
    store = open_store(sqlite_url(old))
    with reading(store) as connection:
        assert audit(connection) == ()
        found = report_of(connection)
        assert get_state(connection, "learned_until") == b"5"
    totals = found["totals"]
    assert {name: totals[name] for name in ("views", "clicks", "clicks_given_away")} == {
        "views": 3,
        "clicks": 3,
        "clicks_given_away": 1,
    }
    assert (totals["currency"], totals["spend_micros"]) == ("EUR", 200_000)
    assert totals["refused"] == {"view robot": 4, "view unknown_offer": 7}
    store.dispose()


def test_its_campaigns_have_a_group_and_an_approved_ad_each_and_run_on(old):
    store = open_store(sqlite_url(old))
    with reading(store) as connection:
        rum, tea = read_listings(connection)
    assert (rum.campaign.paused, tea.campaign.paused) == (True, False)
    assert tea.campaign.caps == (Cap("campaign", 3, 86_400),)
    assert tea.group.targeting.keywords == (Keyword("tea"),)
    assert tea.group.targeting.excluded == (Keyword("coffee"),)
    assert sold.waiting(store) == []
    clock = FixedClock(datetime(2026, 1, 2, 12, tzinfo=UTC))
    with AdServer(store, HashedEmbedder(), clock) as server:
        (offer,) = server.serve(AdRequest("tea", "en", "ada"))
        assert (offer.campaign, offer.advertiser) == ("tea", "Tea House")


def test_opened_again_it_is_as_it_was_and_an_upgrade_that_fails_leaves_the_old_store(old):
    def define(definition: str) -> None:
        with sqlite3.connect(old) as connection:
            rum = "UPDATE campaign SET definition = ? WHERE id = 'rum'"
            connection.execute(rum, [definition])
        connection.close()

    define("broken")
    with pytest.raises(json.JSONDecodeError):
        open_store(sqlite_url(old))
    with sqlite3.connect(old) as connection:
        assert connection.execute("SELECT count(*) FROM offer").fetchone() == (4,)
    connection.close()
    define(json.dumps(TEA | {"id": "rum"}))
    for _ in range(2):
        store = open_store(sqlite_url(old))
        with reading(store) as connection:
            assert report_of(connection)["totals"]["spend_micros"] == 200_000
        store.dispose()
