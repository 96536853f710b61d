"""What is no person's: known robots, prefetches, HEAD; and that the ledger counts none of it."""

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from rookery.ads.ledger.events import add_click, add_view
from rookery.ads.ledger.history import pseudonym
from rookery.ads.ledger.store import reading
from rookery.ads.ledger.traffic import Visitor, judge
from rookery.ads.report import report_of
from rookery.core.verdict import KEEP, Drop
from tests.ads.conftest import NOW

PEOPLE = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Mobile Safari/537.36",
    "Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18",
    "Lynx/2.9.2 libwww-FM/2.14 SSL-MM/1.4.1",
]


@pytest.mark.parametrize("user_agent", PEOPLE)
def test_browsers_of_people_are_let_pass(user_agent):
    assert judge(Visitor("ada", user_agent)) == KEEP


def test_every_robot_of_the_list_is_known_and_so_is_who_says_nothing():
    examples = [name for one in CRAWLER_USER_AGENTS_DATA for name in one["instances"]]
    assert len(examples) > 1_000
    assert not [name for name in examples if judge(Visitor("ada", name)) != Drop("robot")]
    assert judge(Visitor("ada", " ")) == Drop("robot")


@pytest.mark.parametrize("purpose", ["prefetch", "Prefetch;prerender", "preview", "  prefetch  "])
def test_a_prefetch_is_named_before_anything_else(purpose):
    assert judge(Visitor("ada", "", "HEAD", purpose)) == Drop("prefetch")


def test_only_the_viewer_of_an_offer_sees_and_clicks_it(engine, take, a_campaign, offered):
    take(a_campaign())
    with reading(engine) as connection:
        name = pseudonym(connection, "ada", NOW)
    offered("t", viewer=name)
    ada, eve, nobody = (Visitor(viewer, PEOPLE[0]) for viewer in ("ada", "eve", ""))
    next_day = NOW + 12 * 3600 + 5  # ada is another viewer by then, but not to this offer
    offered("late", viewer=name, at=NOW + 12 * 3600 - 60)
    assert add_view(engine, "t", NOW, eve) == Drop("other_viewer")
    assert add_click(engine, "t", NOW, ada)[0] == Drop("click_without_view")
    assert add_view(engine, "t", NOW, ada) == KEEP
    for visit in (eve, nobody):
        assert add_click(engine, "t", NOW, visit)[0] == Drop("other_viewer")
    assert add_click(engine, "t", NOW, Visitor("ada", PEOPLE[0], "HEAD"))[0] == Drop("head_request")
    assert add_click(engine, "t", NOW, ada)[0] == KEEP
    assert add_view(engine, "late", next_day, ada) == KEEP
    assert add_click(engine, "late", next_day, ada)[0] == KEEP
    with reading(engine) as connection:
        totals = report_of(connection)["totals"]
    assert totals["clicks"] == 2
    assert totals["refused"] == {
        "click click_without_view": 1,
        "click head_request": 1,
        "click other_viewer": 2,
        "view other_viewer": 1,
    }
