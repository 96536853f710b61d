"""The auction of several places: who gets one, what is paid, and what the theory says of it."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.ads.price.places import (
    _SHARES,
    CLICK,
    CONVERSION,
    VIEWS,
    WEIGHT_ONE,
    sell,
    weights_of,
)

RULES = ("second_price", "vcg")


def sold(bids, weights=None, places=1, rule="second_price", reserve=0, advertisers=None):
    count = len(bids)
    return sell(
        np.array(bids, np.int64),
        np.full(count, WEIGHT_ONE) if weights is None else np.array(weights, np.int64),
        np.full(count, reserve, np.int64),
        np.arange(count) if advertisers is None else np.array(advertisers),
        np.arange(count, dtype=np.uint32),
        places,
        rule,
    )


def test_by_second_price_each_pays_the_least_bid_that_keeps_its_place():
    """The second one pays 5, not 4: with 4 it would lose the tie."""
    assert [(p.candidate, p.price_micros) for p in sold([10, 4, 2, 7], places=3)] == [
        (0, 7), (3, 5), (1, 2)]  # fmt: skip


def test_the_weights_of_two_turn_the_price_of_one_into_that_of_the_other():
    (place,) = sold([100, 100], [3 * WEIGHT_ONE, 2 * WEIGHT_ONE])
    assert (place.candidate, place.price_micros) == (0, 67)


def test_whoever_is_alone_pays_the_reserve_and_a_bid_below_it_gets_nothing():
    assert sold([50], reserve=10)[0].price_micros == 10
    assert sold([9], reserve=10) == []
    assert sold([]) == []


def test_an_advertiser_has_one_place_and_is_not_its_own_rival():
    places = sold([10, 9, 5], places=2, advertisers=[1, 1, 2])
    assert [(p.candidate, p.price_micros) for p in places] == [(0, 5), (2, 0)]


def test_equal_scores_are_ordered_by_their_ties_and_pay_the_whole_bid():
    first, second = sold([10, 10], places=2)
    assert (first.candidate, first.price_micros, second.candidate) == (0, 10, 1)


def test_the_known_case_where_second_prices_reward_a_lie():
    """Slots of 200 and 199 clicks, values 10, 4, 2: truth earns 1,200, a bid of 3 earns 1,592."""
    truth, lie = sold([10, 4, 2], places=2), sold([3, 4, 2], places=2)
    assert 200 * (10 - truth[0].price_micros) == 1_200
    assert lie[1].candidate == 0
    assert 199 * (10 - lie[1].price_micros) == 1_592


some_bids = st.lists(st.integers(1, 60), min_size=1, max_size=8)


def gain(places, value, candidate):
    for share, place in zip(_SHARES, places, strict=False):
        if place.candidate == candidate:
            return share * (value - place.price_micros)
    return 0


@settings(max_examples=150, deadline=None)
@given(bids=some_bids, places=st.integers(1, 4), lie=st.integers(1, 80))
def test_by_vcg_and_with_one_place_no_lie_gains(bids, places, lie):
    for rule, count in (("vcg", places), ("second_price", 1)):
        # in micros, so that prices that are rounded up to one do not count as losses
        values = [bid * 10**6 for bid in bids]
        honest = gain(sold(values, places=count, rule=rule), values[0], 0)
        other = gain(sold([lie * 10**6, *values[1:]], places=count, rule=rule), values[0], 0)
        assert other <= honest + 2 * max(_SHARES)


@settings(max_examples=150, deadline=None)
@given(
    bids=some_bids,
    weights=st.lists(st.integers(1, 2 * WEIGHT_ONE), min_size=8, max_size=8),
    advertisers=st.lists(st.integers(0, 4), min_size=8, max_size=8),
    places=st.integers(1, 4),
    reserve=st.integers(0, 20),
    rule=st.sampled_from(RULES),
)
def test_what_always_holds(bids, weights, advertisers, places, reserve, rule):
    weights, advertisers = weights[: len(bids)], advertisers[: len(bids)]
    found = sold(bids, weights, places, rule, reserve, advertisers)
    expected = []
    for n in sorted(range(len(bids)), key=lambda n: (-bids[n] * weights[n], n)):
        if bids[n] >= reserve and advertisers[n] not in [advertisers[m] for m in expected]:
            expected.append(n)
    assert [place.candidate for place in found] == expected[:places]
    for place in found:
        assert reserve <= place.price_micros <= bids[place.candidate]
    order = np.random.default_rng(0).permutation(len(bids)).tolist()
    ties = np.array(order, np.uint32)
    again = sell(
        np.array([bids[n] for n in order]), np.array([weights[n] for n in order]),
        np.full(len(bids), reserve), np.array([advertisers[n] for n in order]), ties, places, rule,
    )  # fmt: skip
    assert [(order[p.candidate], p.price_micros) for p in again] == [
        (p.candidate, p.price_micros) for p in found]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(bids=some_bids, places=st.integers(1, 4))
def test_second_prices_are_never_below_vcg(bids, places):
    pairs = zip(sold(bids, places=places), sold(bids, places=places, rule="vcg"), strict=True)
    assert all(gsp.price_micros >= vcg.price_micros for gsp, vcg in pairs)


def test_a_higher_bid_never_has_a_lower_place():
    for others in itertools.combinations(range(1, 9), 3):
        last = 9
        for bid in range(10):
            found = [p.candidate for p in sold([bid, *others], places=4)]
            place = found.index(0) if 0 in found else 9
            assert place <= last
            last = place


def test_of_very_many_candidates_the_best_are_found_exactly():
    chance = np.random.default_rng(1)
    bids = chance.integers(10**4, 10**15, 5_000)
    weights = chance.integers(1, WEIGHT_ONE, 5_000)
    advertisers = np.where(np.arange(5_000) < 4_900, 0, np.arange(5_000))
    found = sold(bids, weights, 4, "second_price", 0, advertisers)
    scores = [int(b) * int(w) for b, w in zip(bids, weights, strict=True)]
    best = {}
    for n in sorted(range(5_000), key=lambda n: -scores[n]):
        best.setdefault(int(advertisers[n]), n)
    assert [p.candidate for p in found] == list(best.values())[:4]


def test_the_weight_follows_what_is_paid_for():
    weights = weights_of(
        np.array([CLICK, CONVERSION, VIEWS]), np.array([0.04, 0.04, 0.04]), np.full(3, 0.25),
        np.array([1.0, 0.5, 1.0]), 0.5,
    )  # fmt: skip
    assert weights.tolist() == [200_000_000, 50_000_000, 1_000_000]


def test_five_places_cannot_be_sold():
    with pytest.raises(ValueError, match="1 to 4 places"):
        sold([1], places=5)
