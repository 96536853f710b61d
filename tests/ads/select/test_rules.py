"""Rules: each drops what it says, and no more."""

from datetime import UTC, datetime

import numpy as np
import pytest

from rookery.ads.select.columns import GroupColumns
from rookery.ads.select.rules import REASONS, Page, judge, standing
from rookery.ads.terms.objects import Listing
from tests.ads.select.test_index import listing

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp()  # a Monday


def why(fields: dict, now: float = NOON, page: Page = Page()) -> str:
    columns = GroupColumns()
    columns.put(listing(1, **fields))
    code = standing(columns, now)[0] or judge(columns, np.array([0]), page)[0]
    return REASONS[code]


@pytest.mark.parametrize(
    ("fields", "page", "reason"),
    [
        ({}, Page(), ""),
        ({"paused": True}, Page(), "paused"),
        ({"start_seconds": NOON + 1}, Page(), "outside_schedule"),
        ({"end_seconds": NOON}, Page(), "outside_schedule"),
        ({"start_seconds": NOON, "end_seconds": NOON + 1}, Page(), ""),
        ({"hours": (12,)}, Page(), ""),
        ({"hours": (11, 13)}, Page(), "wrong_hour"),
        ({"hours": (21,), "zone": "Asia/Tokyo"}, Page(), ""),
        ({"hours": (12,), "zone": "Asia/Tokyo"}, Page(), "wrong_hour"),
        ({"languages": ("de",)}, Page("en"), "wrong_language"),
        ({"languages": ("de", "en")}, Page("en"), ""),
        ({"languages": ("de",)}, Page(), ""),
        ({"countries": ("DE",)}, Page(country="FR"), "wrong_country"),
        ({"countries": ("DE",)}, Page(country="DE"), ""),
        ({"devices": ("phone",)}, Page(device="desktop"), "wrong_device"),
        ({"devices": ("phone",)}, Page(device="phone"), ""),
    ],
)
def test_each_rule_drops_what_it_says(fields, page, reason):
    assert why(fields, page=page) == reason


def test_what_was_never_approved_is_unreviewed_and_what_has_no_ad_that_runs_is_paused():
    columns, one = GroupColumns(), listing(1)
    columns.put(Listing(1, one.group, 1, one.campaign, one.advertiser, (), is_reviewed=False))
    columns.put(Listing(2, one.group, 1, one.campaign, one.advertiser, (), is_reviewed=True))
    assert [REASONS[code] for code in standing(columns, NOON)] == ["unreviewed", "paused"]


def test_rows_of_many_sets_are_judged_at_once():
    columns = GroupColumns()
    for n, languages in enumerate([(), ("de",), ("en",), ("fr", "en"), ("de",)], 1):
        columns.put(listing(n, languages=languages))
    codes = judge(columns, np.arange(5), Page("en"))
    assert [REASONS[code] for code in codes] == ["", "wrong_language", "", "", "wrong_language"]
    columns.put(listing(2, languages=("en",)))  # changed, in its own row
    assert REASONS[judge(columns, np.array([1]), Page("en"))[0]] == ""
