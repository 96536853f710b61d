"""Promised money: sums, ends, and how few clicks are given away for it."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.ads.price.promised import Promised, promise_of

steps = st.lists(
    st.one_of(
        st.tuples(st.just("promise"), st.integers(0, 9), st.sampled_from([0, 1]),
                  st.integers(1, 50), st.integers(1, 40)),
        st.tuples(st.just("settle"), st.integers(0, 9)),
        st.tuples(st.just("expire"), st.integers(0, 40)),
    ),
    max_size=40,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(steps=steps)
def test_sums_are_those_of_a_plain_model(steps):
    promised, plain, ever = Promised(2), {}, set()
    for number, (name, *given_) in enumerate(steps):
        if name == "promise":
            _, budget, micros, expires = given_
            offer = 100 * given_[0] + number
            promised.promise(offer, (budget,), micros, expires)
            plain[offer] = budget, micros, expires
            ever.add(offer)
        elif name == "settle":
            offer = next((one for one in sorted(ever) if one // 100 == given_[0]), 9_999)
            assert promised.settle(offer) == plain.pop(offer, (0, 0, 0))[1]
        else:
            promised.expire(given_[0])
            plain = {o: one for o, one in plain.items() if one[2] > given_[0]}
        of = [sum(m for b, m, _ in plain.values() if b == budget) for budget in (0, 1)]
        assert promised.sums.tolist() == of


def test_an_offer_promises_once_and_a_click_ends_it():
    promised = Promised(1)
    promised.promise(7, (0,), 40, 100)
    promised.promise(7, (0,), 40, 100)
    assert promised.sums.tolist() == [40]
    assert (promised.settle(7), promised.settle(7), promised.sums.tolist()) == (40, 0, [0])
    assert promised.expire(1_000) == 0


def given_away(clicks: int, seed: int, promises: bool) -> float:
    """Return the share of clicks for which a budget of so many had no money left.

    Two places a second, 5% of the views are clicked, ten minutes later on average; an offer lives
    half an hour.
    """
    chance, promised = np.random.default_rng(seed), Promised(1)
    price, ctr, lives = 100_000, 0.05, 1_800.0
    left, queue, now, number, lost, all_clicks = clicks * price, [], 0.0, 0, 0, 0
    while left >= price or queue:
        now += 0.5
        promised.expire(now)
        while queue and queue[0][0] <= now:
            _, offer = heapq.heappop(queue)
            promised.settle(offer)
            all_clicks += 1
            if left >= price:
                left -= price
            else:
                lost += 1
        may = promised.allows(0, left, price, ctr) if promises else left >= price
        if may and left >= price:
            number += 1
            promised.promise(number, (0,), promise_of(price, ctr), now + lives)
            delay = chance.exponential(600)
            if chance.random() < ctr and delay < lives:
                heapq.heappush(queue, (now + delay, number))
        if now > 86_400:
            break
    return lost / max(1, all_clicks)


@pytest.mark.slow
def test_promises_leave_few_clicks_to_give_away():
    with_, without = (
        np.mean([given_away(20, seed, p) for seed in range(20)]) for p in (True, False)
    )
    assert with_ < 0.05
    assert without > 5 * with_
