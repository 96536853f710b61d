"""What is no person's: known robots, prefetches, HEAD."""

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from rookery.ads.ledger.traffic import Visitor, judge
from rookery.core.verdict import KEEP, Drop

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
