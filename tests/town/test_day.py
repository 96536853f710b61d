"""A simulated day: visits follow the viewers' interests, and predictions are judged by AUC."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.town.day import auc, visits
from rookery.town.themes import make_market, town_themes


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_auc_is_the_share_of_pairs_in_the_right_order(views):
    scores, clicked = np.array([s for s, _ in views], dtype=float), np.array([c for _, c in views])
    pairs = [(a, b) for a in scores[clicked] for b in scores[~clicked]]
    expected = np.mean([(a > b) + (a == b) / 2 for a, b in pairs]) if pairs else 0.5
    assert auc(scores, clicked) == pytest.approx(expected)


def test_a_day_of_visits_is_in_order_follows_interests_and_is_the_same_each_time():
    market, interests = make_market(town_themes(), 1), np.zeros((2, len(town_themes())))
    interests[0, 3] = interests[1, 7] = 1.0
    day, again = (list(visits(market, interests, 200, np.random.default_rng(5))) for _ in range(2))
    assert day == again
    assert [v.at_seconds for v in day] == sorted(v.at_seconds for v in day)
    assert all(0 <= v.at_seconds < 86_400 for v in day)
    assert {(v.viewer, v.theme) for v in day} == {(0, 3), (1, 7)}
