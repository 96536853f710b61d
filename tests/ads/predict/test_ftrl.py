"""The click predictor, against the algorithm as published and against planted preferences."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.ads.predict.features import ad_codes, padded, view_buckets
from rookery.ads.predict.ftrl import PRIOR_CTR, ROWS_AT_ONCE, FtrlPredictor
from rookery.core.protocols import FEATURE_BUCKETS

BUCKETS = st.lists(st.integers(0, FEATURE_BUCKETS - 1), max_size=6)
VIEWS = st.lists(st.tuples(BUCKETS, st.booleans()), max_size=30)


def _learned(views) -> FtrlPredictor:
    predictor = FtrlPredictor()
    for buckets, clicked in views:
        predictor.learn(padded([buckets]), np.array([clicked]))
    return predictor


def test_what_is_not_known_gets_the_prior():
    assert FtrlPredictor().predict(padded([[7], []])) == pytest.approx([PRIOR_CTR] * 2)


@given(VIEWS, BUCKETS)
def test_a_prediction_is_a_probability_whatever_was_learnt(views, buckets):
    assert 0 < _learned(views).predict(padded([buckets]))[0] < 1


@given(VIEWS)
def test_a_predictor_comes_back_from_its_bytes(views):
    predictor = _learned(views)
    back = FtrlPredictor().from_bytes(predictor.to_bytes())
    assert back.to_bytes() == predictor.to_bytes()
    rows = padded([buckets for buckets, _ in views])
    assert np.array_equal(back.predict(rows), predictor.predict(rows))


@pytest.mark.parametrize("at_once", [1, 5, ROWS_AT_ONCE])
def test_it_agrees_with_the_algorithm_as_published(at_once):
    """McMahan et al. 2013, algorithm 1, as the paper has it; one step for the views of a batch."""
    alpha, beta, ridge, z, n = 0.3, 1.0, 1.0, {}, {}
    prior = math.log(PRIOR_CTR / (1 - PRIOR_CTR))
    predictor, random = FtrlPredictor(), np.random.default_rng(0)

    def weight(f):
        return -z.get(f, 0) / ((beta + math.sqrt(n.get(f, 0))) / alpha + ridge)

    for _ in range(60):
        rows = [sorted(set(random.integers(0, 9, 3).tolist())) for _ in range(at_once)]
        clicked = random.random(at_once) < 0.3
        p = [1 / (1 + math.exp(-(prior + sum(map(weight, row))))) for row in rows]
        assert predictor.predict(padded(rows)) == pytest.approx(p)
        predictor.learn(padded(rows), clicked)
        gradients: dict[int, float] = {}
        for row, error in zip(rows, p - clicked, strict=True):
            for f in row:
                gradients[f] = gradients.get(f, 0) + error
        for f, g in gradients.items():
            sigma = (math.sqrt(n.get(f, 0) + g * g) - math.sqrt(n.get(f, 0))) / alpha
            z[f], n[f] = z.get(f, 0) + g - sigma * weight(f), n.get(f, 0) + g * g


def test_many_equal_views_at_once_move_it_no_further_than_they_say():
    predictor = FtrlPredictor()
    rows = np.tile(np.array([1, 2, 3]), (4000, 1))
    predictor.learn(rows, np.arange(4000) % 5 == 0)
    assert predictor.predict(rows[:1])[0] == pytest.approx(0.2, abs=0.03)


def test_it_learns_which_ad_is_clicked_beside_which_words():
    predictor, random = FtrlPredictor(), np.random.default_rng(1)
    truth = {
        ("tea", "cup"): 0.4,
        ("tea", "boat"): 0.02,
        ("sail", "cup"): 0.02,
        ("sail", "boat"): 0.2,
    }
    shown = {
        (ad, word): view_buckets(ad_codes([ad]), np.zeros(1), [word], "en") for ad, word in truth
    }
    for _ in range(4000):
        pair = list(truth)[random.integers(4)]
        predictor.learn(shown[pair], random.random(1) < truth[pair])
    for pair, clicks in truth.items():
        assert predictor.predict(shown[pair])[0] == pytest.approx(clicks, rel=0.2, abs=0.02)
