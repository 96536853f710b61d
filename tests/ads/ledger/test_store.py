"""The store: campaigns come back as saved, and the database itself refuses what must not be."""

import multiprocessing

import pytest
from sqlalchemy import update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

from rookery.ads.ledger import store
from rookery.ads.ledger.store import (
    campaign,
    campaign_day,
    charge,
    click,
    metadata,
    reading,
    view,
    writing,
)
from rookery.ads.terms.campaigns import Campaigns
from rookery.core.errors import DataError, UsageError


def test_campaigns_come_back_as_they_were_saved(engine, take, a_campaign):
    saved = (a_campaign("a", languages=("en",), start_seconds=5), a_campaign("b", paused=True))
    take(*saved)
    with reading(engine) as connection:
        assert store.read_campaigns(connection) == saved


def test_the_database_itself_refuses_to_pass_a_budget(engine, take, a_campaign):
    take(a_campaign(budget_micros=1_000_000))
    with pytest.raises(IntegrityError), writing(engine) as connection:
        connection.execute(update(campaign).values(spent_micros=1_000_001))
    values = {"campaign": "tea", "day": "2026-01-01", "budget_micros": 5, "spent_micros": 6}
    with pytest.raises(IntegrityError), writing(engine) as connection:
        connection.execute(campaign_day.insert().values(**values))


def test_the_database_itself_refuses_a_link_without_the_one_before(
    engine, take, a_campaign, offered
):
    take(a_campaign())
    offered("t")
    bill = {"auction": 1, "campaign": "tea", "day": "2026-01-01", "micros": 1, "at": 0}
    for table, values in (
        (view, {"auction": 2, "at": 0}),
        (click, {"auction": 1, "at": 0}),
        (charge, bill),
    ):
        with pytest.raises(IntegrityError), writing(engine) as connection:
            connection.execute(table.insert().values(**values))


def test_a_campaign_can_be_changed_and_keeps_what_it_spent(engine, take, a_campaign):
    take(a_campaign())
    with writing(engine) as connection:
        connection.execute(update(campaign).values(spent_micros=3_000_000))
    take(a_campaign(title="New", budget_micros=3_000_000))
    with reading(engine) as connection:
        assert store.read_campaigns(connection)[0].title == "New"
        assert connection.execute(campaign.select()).one().spent_micros == 3_000_000


def test_a_budget_below_what_was_spent_is_refused_and_nothing_is_taken_in(engine, take, a_campaign):
    take(a_campaign())
    with writing(engine) as connection:
        connection.execute(update(campaign).values(spent_micros=3_000_000))
    with pytest.raises(UsageError, match=r"campaign tea: budget 2.99 is below what is spent, 3.00"):
        take(a_campaign("another"), a_campaign(budget_micros=2_990_000))
    with reading(engine) as connection:
        assert [c.id for c in store.read_campaigns(connection)] == ["tea"]


def test_a_file_in_another_currency_is_refused(engine, take, a_campaign):
    take(a_campaign())
    with pytest.raises(UsageError, match="keeps its books in EUR, the file is in USD"):
        store.save_campaigns_into(engine, Campaigns("USD", (a_campaign(),)))


def test_a_lower_daily_budget_never_falls_below_what_the_day_has_spent(engine, take, a_campaign):
    take(a_campaign(daily_budget_micros=5_000_000))
    with writing(engine) as connection:
        for day, spent in (("2026-01-01", 4_000_000), ("2026-01-02", 1_000_000)):
            row = {"campaign": "tea", "day": day, "budget_micros": 5_000_000, "spent_micros": spent}
            connection.execute(campaign_day.insert().values(**row))
    take(a_campaign(daily_budget_micros=2_000_000))
    with reading(engine) as connection:
        days = connection.execute(campaign_day.select().order_by(campaign_day.c.day)).all()
    assert [row.budget_micros for row in days] == [4_000_000, 2_000_000]


def test_a_file_that_is_no_database_is_one_clear_error(home):
    home.ads.write_bytes(b"no database at all, but a text of some length" * 100)
    with (
        pytest.raises(DataError, match="cannot be read: file is not a database"),
        store.opened_store(home),
    ):
        pass


def test_a_database_of_another_format_is_refused(home):
    with store.opened_store(home) as engine, writing(engine) as connection:
        store.set_state(connection, "format", b"99")
    with pytest.raises(DataError, match="another format"), store.opened_store(home):
        pass


def _open(path) -> None:
    store.open_store(store.sqlite_url(path)).dispose()


@pytest.mark.slow
def test_several_processes_may_make_the_store_at_once(tmp_path):
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.map(_open, [tmp_path / "new.sqlite"] * 8)


def test_the_schema_is_one_that_postgresql_takes():
    made = [
        str(CreateTable(table).compile(dialect=postgresql.dialect()))
        for table in metadata.sorted_tables
    ]
    assert any("auction BIGSERIAL NOT NULL" in statement for statement in made)
    assert sum("spent_micros <= budget_micros" in statement for statement in made) == 2
