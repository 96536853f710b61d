"""The audit: a book that was tampered with is found out, whatever was changed."""

import pytest
from sqlalchemy import text

from rookery.ads.ledger.audit import audit
from rookery.ads.ledger.booking import AdEvent, book
from rookery.ads.ledger.store import open_store, reading, sqlite_url, writing
from rookery.ads.report import report_of
from tests.ads.conftest import NOW, an_offer
from tests.support.selling import campaign, funded, sell


@pytest.fixture
def booked(store):
    """A store with a click that was paid, without constraints that forbid to change it."""
    sell(store, funded(campaign(), "pot", 9_000_000), campaign("rum"))
    offer = an_offer(store, 1)
    book(store, [AdEvent("view", offer, NOW), AdEvent("click", offer, NOW)])
    return store


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ("UPDATE campaign SET spent_micros = 5 WHERE id = 'tea'", "tea: spent 5, charged 100000"),
        ("UPDATE campaign_day SET spent_micros = 5", "tea 2026-01-01: spent 5, charged 100000"),
        ("UPDATE funding SET spent_micros = 5", "funding pot: spent 5, charged 100000"),
        ("UPDATE click SET micros = 5", "tea: spent 100000, charged 5"),
        ("UPDATE click SET given = 'over_budget'", "click 4: costs and is given away"),
        ("DELETE FROM view", "click 4: without its view"),
        ("UPDATE view SET at = at + 86400", "views of 2026-01-01 in UTC: another day"),
        ("UPDATE view SET ad_version = 1", "view 4: its ad is of another campaign"),
    ],
)
def test_what_was_tampered_with_is_found(booked, change, finding):
    with reading(booked) as connection:
        assert audit(connection) == ()
    with booked.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.execute(text(change))
        assert finding in audit(connection)
        assert report_of(connection)["totals"]["ledger_agrees"] is False
        connection.invalidate()


def test_an_empty_store_agrees(tmp_path):
    store = open_store(sqlite_url(tmp_path / "new.sqlite"))
    with writing(store) as connection:
        assert audit(connection) == ()
    store.dispose()
