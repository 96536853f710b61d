"""The report: counts and amounts of each campaign."""

from rookery.ads.ledger.booking import AdEvent, book
from rookery.ads.ledger.reasons import OFFERED, add_reasons
from rookery.ads.ledger.store import reading
from rookery.ads.report import report, report_of
from tests.ads.conftest import NOW, an_offer
from tests.support.selling import campaign, sell


def test_a_home_without_campaigns_has_an_empty_report(home):
    found = report(home)
    assert found["campaigns"] == []
    assert (found["totals"]["spend"], found["totals"]["ledger_agrees"]) == ("0.00", True)


def test_a_campaign_s_line_says_what_it_got_and_paid(any_store):
    sell(any_store, campaign(), campaign("the-quiet-one"))
    offers = [an_offer(any_store, n, price_micros=100_000 + n * 50_000) for n in range(4)]
    add_reasons(any_store, "2026-01-01", {(1, OFFERED): 3, (1, "paused"): 9})
    add_reasons(any_store, "2026-01-01", {(1, OFFERED): 1})
    book(any_store, [AdEvent("view", offer, NOW) for offer in offers])
    book(any_store, [AdEvent("click", offer, NOW) for offer in offers[:2]])
    with reading(any_store) as connection:
        found = report_of(connection)
    rows = {row["campaign"]: row for row in found["campaigns"]}
    assert rows["tea"] == {
        "campaign": "tea",
        "offers": 4,
        "views": 4,
        "clicks": 2,
        "conversions": 0,
        "ctr": 0.5,
        "average_price": "0.13",
        "spend": "0.25",
        "budget_left": "49.75",
        "spend_micros": 250_000,
    }
    assert (rows["the-quiet-one"]["offers"], rows["the-quiet-one"]["average_price"]) == (0, "")
    assert found["totals"]["ledger_agrees"]
