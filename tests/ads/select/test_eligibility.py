"""Eligibility: one rule and one reason for each case."""

import pytest

from rookery.ads.select.eligibility import CampaignState, Page, fits_page, may_spend
from rookery.ads.select.relevance import Relevance
from rookery.core.verdict import KEEP, Drop

FITS = Relevance(("tea",), 0.0)
PAGE = Page(("green", "tea"), "en", 1000)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"paused": True}, "paused"),
        ({"start_seconds": 1001}, "outside_schedule"),
        ({"end_seconds": 1000}, "outside_schedule"),
        ({"languages": ("de",)}, "wrong_language"),
        ({"excluded_words": ("green tea",)}, "excluded_word"),
    ],
)
def test_what_speaks_against_a_page_is_named(a_campaign, terms, reason):
    assert fits_page(a_campaign(**terms), PAGE, FITS) == Drop(reason)


def test_a_page_that_fits_is_kept_to_the_edges_of_the_schedule(a_campaign):
    campaign = a_campaign(
        start_seconds=1000, end_seconds=1001, languages=("en",), excluded_words=("green",)
    )
    assert fits_page(campaign, Page(("tea",), "en", 1000), FITS) == KEEP


def test_an_unknown_language_is_not_held_against_the_reader(a_campaign):
    assert fits_page(a_campaign(languages=("de",)), Page(("tea",), None, 0), FITS) == KEEP


def test_an_ad_without_keyword_or_similarity_is_not_relevant(a_campaign):
    assert fits_page(a_campaign(), PAGE, Relevance((), 2.9)) == Drop("not_relevant")
    assert fits_page(a_campaign(), PAGE, Relevance((), 3.0)) == KEEP


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (CampaignState(49_750_001, 0, 0), "budget_spent"),
        (CampaignState(0, 4_750_001, 0), "daily_budget_spent"),
        (CampaignState(0, 0, 3), "frequency_capped"),
    ],
)
def test_a_campaign_that_has_had_its_share_is_dropped_with_the_reason(a_campaign, state, reason):
    campaign = a_campaign(daily_budget_micros=5_000_000, views_per_viewer_per_day=3)
    assert may_spend(campaign, state) == Drop(reason)


def test_a_campaign_that_can_pay_one_more_click_is_kept(a_campaign):
    campaign = a_campaign(daily_budget_micros=5_000_000, views_per_viewer_per_day=3)
    assert may_spend(campaign, CampaignState(49_750_000, 4_750_000, 2)) == KEEP
    assert may_spend(a_campaign(), CampaignState(0, 49_750_000, 99)) == KEEP
