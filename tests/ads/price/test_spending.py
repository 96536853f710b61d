"""Spending: budgets last through their period, days begin in their zone, targets are met."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.ads.price.spending import (
    automatic_bid,
    paced,
    pressures,
    targeted_bid,
    usual_price,
)
from rookery.ads.terms.days import Period, day_in, within

HOUR = 3_600


def at(*moment):
    return datetime(*moment, tzinfo=UTC).timestamp()


def test_a_day_begins_at_midnight_in_its_zone_and_may_have_23_hours():
    day = day_in("Europe/Berlin", at(2026, 3, 29, 12))
    assert (day.start_seconds, day.end_seconds) == (at(2026, 3, 28, 23), at(2026, 3, 29, 22))
    assert day_in("UTC", at(2026, 3, 29, 0)) == Period(at(2026, 3, 29), at(2026, 3, 30))


def test_a_campaign_that_starts_at_20_has_four_hours_for_its_day():
    day = day_in("UTC", at(2026, 1, 5, 20))
    rest = within(day, at(2026, 1, 5, 20), None)
    assert rest.due_share(at(2026, 1, 5, 20)) == 0
    assert rest.due_share(at(2026, 1, 5, 22)) == 0.5
    assert within(day, None, at(2026, 1, 5, 12)).due_share(at(2026, 1, 5, 6)) == 0.5
    assert within(day, at(2026, 1, 7), None).due_share(at(2026, 1, 5, 6)) == 1.0


def spent_by(hours, start_hour, views_a_second=2.0, budget=20_000_000, price=100_000, ctr=0.05):
    """Return the shares of a day's budget that are spent after some hours, for one that pays by
    click: a rival bids anything up to twice the price.
    """
    chance, day = np.random.default_rng(3), day_in("UTC", at(2026, 1, 5))
    period = within(day, day.start_seconds + start_hour * HOUR, None)
    spent, shares, now = 0, {}, period.start_seconds
    while now < period.end_seconds:
        due = budget * period.due_share(now)
        mu = pressures(np.array([spent]), np.array([due]), np.array([budget]))
        bid = int(paced(np.array([2 * price]), mu)[0])
        rival = chance.integers(0, 2 * price)
        if bid >= rival and spent + rival <= budget and chance.random() < ctr:
            spent += int(rival)
        now += 1 / views_a_second
        shares[round((now - period.start_seconds) / HOUR, 4)] = spent / budget
    return [shares[hour] for hour in hours]


def test_a_late_start_does_not_burn_the_day_in_half_an_hour():
    half_an_hour, all_of_it = spent_by([0.5, 4.0], start_hour=20)
    assert half_an_hour <= 0.25
    assert all_of_it >= 0.95


@given(
    spent=st.integers(0, 10**12), due=st.integers(0, 10**12), budget=st.integers(0, 10**12),
    bid=st.integers(0, 10**9),
)  # fmt: skip
def test_a_bid_is_never_above_what_was_named_and_falls_with_what_is_spent(spent, due, budget, bid):
    mu = pressures(np.array([spent, spent + 1]), np.array([due, due]), np.array([budget, budget]))
    here, later = paced(np.array([bid, bid]), mu)
    assert 0 <= later <= here <= bid
    assert np.isfinite(mu).all()
    if budget == 0:
        assert here == 0


def test_an_automatic_bid_is_the_usual_price_where_what_is_due_is_spent():
    mu = pressures(np.array([50, 40, 60]), np.array([50, 50, 50]), np.array([100, 100, 100]))
    same, more, less = automatic_bid(np.array([1_000.0] * 3), mu)
    assert less < same == 1_000 < more


def test_the_usual_price_is_the_median_and_nothing_without_chances():
    assert usual_price(np.array([1.0, 2, 30]), np.array([0.5, 0.5, 0.5])) == 4.0
    assert usual_price(np.array([1.0]), np.array([0.0])) == 0.0


def test_a_mean_cost_comes_near_its_target():
    chance, target = np.random.default_rng(0), 1_000
    spent, bought = 0, 0
    for _ in range(5_000):
        bid = int(targeted_bid(np.array([target]), np.array([spent]), np.array([bought]))[0])
        assert 100 <= bid <= 2_000
        rival = chance.integers(0, 3_000)
        if bid >= rival:
            spent, bought = spent + int(rival), bought + 1
    assert spent / bought == pytest.approx(target, rel=0.02)
