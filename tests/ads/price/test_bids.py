"""Bids: what each strategy bids as its budget presses."""

import numpy as np
import pytest

from rookery.ads.price.bids import AUTOMATIC, HIGHEST, TARGET, Usual, bids_of, unit_costs

PRICE = 100_000


def bid(strategy: int, pressure: float = 0.0, usual: float = 0.0, spent: int = 0, bought: int = 0):
    arrays = (np.array([one]) for one in (PRICE, strategy, pressure, usual, spent, bought))
    return int(bids_of(*arrays)[0])


def test_the_highest_price_is_bid_less_while_ahead_of_the_budget():
    assert [bid(HIGHEST, mu) for mu in (0.0, 1.0, 3.0)] == [PRICE, PRICE // 2, PRICE // 4]


def test_an_automatic_bid_follows_what_is_usual_up_to_its_price():
    assert bid(AUTOMATIC, 1.0, 30_000) == 30_000
    assert bid(AUTOMATIC, 2.0, 30_000) == 15_000
    assert bid(AUTOMATIC, 0.1, 30_000) == PRICE
    assert bid(AUTOMATIC, 0.0, 30_000) == PRICE  # nothing presses
    assert bid(AUTOMATIC, 1.0) == PRICE // 2  # nobody knows what is usual


def test_a_target_is_missed_upwards_after_it_was_missed_downwards():
    assert bid(TARGET) == PRICE
    assert bid(TARGET, spent=5 * PRICE, bought=10) > PRICE
    assert bid(TARGET, spent=20 * PRICE, bought=10) < PRICE
    assert bid(TARGET, pressure=1.0) == PRICE // 2


def test_the_usual_cost_becomes_the_median():
    usual, random = Usual(2), np.random.default_rng(1)
    for cost in random.lognormal(10, 0.5, 2_000):
        usual.see(np.array([0]), np.array([cost]))
    assert usual.prices[0] == pytest.approx(np.exp(10), rel=0.15)
    assert usual.prices[1] == 0


def test_a_view_costs_a_thousandth_rounded_up():
    assert unit_costs(np.array([1_001, 1_001]), np.array([True, False])).tolist() == [2, 1_001]
