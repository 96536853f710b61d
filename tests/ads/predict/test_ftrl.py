"""The click predictor, against the algorithm as published and against planted preferences."""

import math
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.ads.predict.features import BITS, ad_features, hash_features
from rookery.ads.predict.ftrl import PRIOR_CTR, FtrlPredictor

FEATURES = st.lists(st.text(max_size=8), max_size=6)
VIEWS = st.lists(st.tuples(FEATURES, st.booleans()), max_size=30)


def test_what_is_not_known_gets_the_prior():
    for features in (["ad:new"], []):
        assert FtrlPredictor().predict(hash_features(features)) == pytest.approx(PRIOR_CTR)


@given(VIEWS, FEATURES)
def test_a_prediction_is_a_probability_whatever_was_learnt(views, features):
    predictor = FtrlPredictor()
    for seen, clicked in views:
        predictor.learn(hash_features(seen), clicked)
    assert 0 < predictor.predict(hash_features(features)) < 1


@given(VIEWS)
def test_a_predictor_comes_back_from_its_bytes(views):
    predictor = FtrlPredictor()
    for seen, clicked in views:
        predictor.learn(hash_features(seen), clicked)
    back = FtrlPredictor.from_bytes(predictor.to_bytes())
    assert back.to_bytes() == predictor.to_bytes()
    for buckets in [hash_features(seen) for seen, _ in views]:
        assert back.predict(buckets) == predictor.predict(buckets)


def test_it_agrees_with_the_algorithm_as_published():
    """McMahan et al. 2013, algorithm 1, written as the paper has it."""
    alpha, beta, ridge, z, n = 0.3, 1.0, 1.0, {}, {}
    prior = math.log(PRIOR_CTR / (1 - PRIOR_CTR))
    predictor, random = FtrlPredictor(), np.random.default_rng(0)
    for _ in range(200):
        features = sorted({f"f{k}" for k in random.integers(0, 9, 3)})
        clicked = bool(random.random() < 0.3)
        w = {f: -z.get(f, 0) / ((beta + math.sqrt(n.get(f, 0))) / alpha + ridge) for f in features}
        p = 1 / (1 + math.exp(-(prior + sum(w.values()))))
        assert predictor.predict(hash_features(features)) == pytest.approx(p)
        predictor.learn(hash_features(features), clicked)
        for f in features:
            g = p - clicked
            sigma = (math.sqrt(n.get(f, 0) + g * g) - math.sqrt(n.get(f, 0))) / alpha
            z[f], n[f] = z.get(f, 0) + g - sigma * w[f], n.get(f, 0) + g * g


def test_it_learns_which_ad_is_clicked_beside_which_words():
    predictor, random = FtrlPredictor(), np.random.default_rng(1)
    truth = {
        ("tea", "cup"): 0.4,
        ("tea", "boat"): 0.02,
        ("sail", "cup"): 0.02,
        ("sail", "boat"): 0.2,
    }
    for _ in range(4000):
        ad, word = list(truth)[random.integers(4)]
        buckets = hash_features(ad_features(ad, [word], [], "en", 0.0))
        predictor.learn(buckets, bool(random.random() < truth[ad, word]))
    for (ad, word), clicks in truth.items():
        buckets = hash_features(ad_features(ad, [word], [], "en", 0.0))
        assert predictor.predict(buckets) == pytest.approx(clicks, rel=0.2, abs=0.02)


def test_buckets_do_not_depend_on_the_process_or_the_order():
    assert hash_features(["b", "a", "b"]).tolist() == sorted(
        {zlib.crc32(b"a") >> (32 - BITS), zlib.crc32(b"b") >> (32 - BITS)}
    )
