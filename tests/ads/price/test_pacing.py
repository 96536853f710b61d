"""Pacing: a budget lasts through its period and is spent."""

import csv
import gzip
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.ads.price.pacing import DAY, current_bid, due, paced_bid, shadow_price
from rookery.ads.select.eligibility import CampaignState

MICROS = st.integers(0, 10**12)


@given(MICROS, st.floats(0, 1e13))
def test_no_more_than_the_bid_is_put_forward(bid_micros, shadow_price):
    assert 0 <= paced_bid(bid_micros, shadow_price) <= bid_micros


@given(MICROS, MICROS, MICROS, st.integers(1, 10**12))
def test_who_spent_more_puts_forward_no_more(spent, more, due_micros, budget):
    assert shadow_price(spent + more, due_micros, budget) >= shadow_price(spent, due_micros, budget)


def test_what_is_due_grows_evenly_and_stays_inside_the_period():
    assert [due(1000, 100, 200, now) for now in (0, 100, 150, 200, 999)] == [0, 0, 500, 1000, 1000]


def test_a_campaign_ahead_of_its_day_holds_back_and_one_behind_bids_nearly_all(a_campaign):
    campaign, noon = a_campaign(daily_budget_micros=10_000_000), 20_000 * DAY + DAY // 2
    ahead, on_time, behind = (
        current_bid(campaign, CampaignState(0, spent, 0), noon)
        for spent in (6_000_000, 5_000_000, 10**6)
    )
    assert ahead < campaign.bid_micros // 1000
    assert on_time == campaign.bid_micros // 2
    assert behind > campaign.bid_micros * 0.99


def test_a_schedule_paces_the_whole_budget_and_no_period_paces_nothing(a_campaign):
    scheduled = a_campaign(start_seconds=0, end_seconds=100)
    assert (
        current_bid(scheduled, CampaignState(40_000_000, 0, 0), 50) < scheduled.bid_micros // 1000
    )
    assert current_bid(a_campaign(), CampaignState(40_000_000, 0, 0), 50) == scheduled.bid_micros


def _replay(prices: np.ndarray, values: np.ndarray, budget: float) -> tuple[float, float]:
    """Return spend and value when each view gets a paced bid of its value × `worth`.

    `worth` is four times the median price of a unit of value.
    """
    worth = 4 * float(np.median(prices / values))
    spent = gained = 0.0
    for place, (price, value) in enumerate(zip(prices.tolist(), values.tolist(), strict=True)):
        bid = value * worth / (1 + shadow_price(spent, budget * place / len(prices), budget))
        if bid >= price and spent + price <= budget:
            spent, gained = spent + price, gained + value
    return spent, gained


@pytest.mark.parametrize(
    ("share", "least"), [(2, 0.99), (4, 0.98), (8, 0.97), (16, 0.95), (32, 0.93)]
)
def test_on_a_real_bid_log_pacing_comes_near_the_best_in_hindsight(shared_data, share, least):
    with gzip.open(shared_data / "ads_ipinyou" / "bids_2997.csv.gz", "rt") as file:
        rows = [(float(row["market_price"]), float(row["pctr"])) for row in csv.DictReader(file)]
    prices, values = np.array(rows).T
    budget = prices.sum() / share
    dearest_last = np.argsort(prices / values)
    best = values[dearest_last][np.cumsum(prices[dearest_last]) <= budget].sum()
    spent, gained = _replay(prices, values, budget)
    assert 0.99 * budget <= spent <= budget
    assert gained >= least * best


def test_the_shadow_price_is_one_on_time_and_grows_by_e_for_each_hundredth_of_the_budget():
    assert shadow_price(500, 500, 1000) == 1.0
    assert shadow_price(510, 500, 1000) == pytest.approx(math.e)
    assert shadow_price(490, 500, 1000) == pytest.approx(1 / math.e)
    assert shadow_price(1000, 0, 1000) == pytest.approx(math.exp(30))
    assert shadow_price(0, 1000, 1000) == pytest.approx(math.exp(-30))


def test_a_bid_is_divided_by_one_more_than_the_shadow_price():
    assert [paced_bid(1000, price) for price in (0.0, 1.0, 3.0)] == [1000, 500, 250]


def test_a_schedule_needs_both_its_ends_to_be_paced(a_campaign):
    bid = a_campaign().bid_micros
    on_time = CampaignState(25_000_000, 0, 0)
    assert current_bid(a_campaign(start_seconds=0, end_seconds=100), on_time, 50) == bid // 2
    assert current_bid(a_campaign(start_seconds=0), on_time, 50) == bid
    assert current_bid(a_campaign(end_seconds=100), on_time, 50) == bid


def test_a_day_is_paced_from_midnight_to_midnight(a_campaign):
    campaign = a_campaign(daily_budget_micros=8_000_000, start_seconds=0, end_seconds=10 * DAY)
    for hour, spent in ((6, 2_000_000), (18, 6_000_000)):
        state = CampaignState(0, spent, 0)
        assert current_bid(campaign, state, 5 * DAY + hour * 3600) == campaign.bid_micros // 2
