"""The report: counts and amounts of each campaign, and contradictions in the books."""

from sqlalchemy import update

from rookery.ads.ledger.events import add_click, add_view
from rookery.ads.ledger.store import campaign, charge, reading, writing
from rookery.ads.report import inconsistencies, report, report_of
from tests.ads.conftest import NOW


def test_a_home_without_campaigns_has_an_empty_report(home):
    found = report(home)
    assert found["campaigns"] == []
    assert (found["totals"]["spend"], found["totals"]["ledger_agrees"]) == ("0.00", True)


def test_a_campaign_s_line_says_what_it_got_and_paid(engine, take, a_campaign, offered):
    take(a_campaign(), a_campaign("quiet"))
    for n in range(4):
        add_view(engine, offered(f"t{n}", price_micros=100_000 + n * 50_000), NOW)
    add_click(engine, "t0", NOW), add_click(engine, "t1", NOW)
    with reading(engine) as connection:
        rows = {row["campaign"]: row for row in report_of(connection)["campaigns"]}
    assert rows["tea"] == {
        "campaign": "tea",
        "offers": 4,
        "views": 4,
        "clicks": 2,
        "ctr": 0.5,
        "average_price": "0.13",
        "spend": "0.25",
        "budget_left": "49.75",
        "spend_micros": 250_000,
    }
    assert (rows["quiet"]["offers"], rows["quiet"]["average_price"], rows["quiet"]["spend"]) == (
        0,
        "",
        "0.00",
    )


def test_a_counter_or_charge_that_was_tampered_with_is_found(engine, take, a_campaign, offered):
    take(a_campaign())
    add_view(engine, offered("t"), NOW), add_click(engine, "t", NOW)
    with writing(engine) as connection:
        connection.execute(update(campaign).values(spent_micros=5))
    with writing(engine) as connection:
        assert inconsistencies(connection) == ["tea in all: spent 5, charged 100000"]
        connection.execute(update(charge).values(micros=5))
    with reading(engine) as connection:
        assert inconsistencies(connection) == [
            "tea 2026-01-01: spent 100000, charged 5",
            "auction 1: charged not as offered",
        ]
        assert report_of(connection)["totals"]["ledger_agrees"] is False
