"""DCNv2: pairs of features that no linear model sees, and a state that comes back."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rookery.core.protocols import FEATURE_BUCKETS, NO_FEATURE  # noqa: E402
from rookery.model.clicks import ClickShape, DeepPredictor  # noqa: E402

FIELDS, VALUES = 6, 20


def _pairs(views: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return views whose clicks hang on a pair of fields, each field alone telling nothing."""
    random = np.random.default_rng(seed)
    values = random.integers(VALUES, size=(views, FIELDS))
    truth = np.where((values[:, 0] % 2) ^ (values[:, 1] % 2), 0.4, 0.02)
    return values + np.arange(FIELDS) * VALUES, truth, random.random(views) < truth


def _auc(p: np.ndarray, clicked: np.ndarray) -> float:
    order = np.argsort(np.argsort(p, kind="stable"))[clicked] + 1
    ones, zeros = clicked.sum(), (~clicked).sum()
    return (order.sum() - ones * (ones + 1) / 2) / (ones * zeros)


def test_pairs_of_fields_are_learned_in_one_pass():
    buckets, truth, clicked = _pairs(40_000)
    learned, judged = slice(0, 32_000), slice(32_000, None)
    predictor = DeepPredictor(ClickShape(FIELDS, prior_ctr=0.2))
    predictor.learn(buckets[learned], clicked[learned])
    reached = _auc(predictor.predict(buckets[judged]), clicked[judged])
    noise = np.random.default_rng(1).random(8000) * 1e-6  # equal truths, in any order
    assert reached > _auc(truth[judged] + noise, clicked[judged]) - 0.02


def test_before_it_learns_it_predicts_nearly_the_prior():
    predicted = DeepPredictor(ClickShape(prior_ctr=0.05)).predict(_pairs(200)[0])
    assert predicted == pytest.approx(np.full(200, 0.05), rel=0.3)


def test_it_comes_back_from_its_bytes_and_learns_on_as_if_it_had_never_stopped():
    buckets, _, clicked = _pairs(1024)
    whole, first = (DeepPredictor(ClickShape(FIELDS, seed=3)) for _ in range(2))
    whole.learn(buckets, clicked)
    first.learn(buckets[:512], clicked[:512])
    back = DeepPredictor().from_bytes(first.to_bytes())
    assert back.shape == first.shape
    back.learn(buckets[512:], clicked[512:])
    assert np.array_equal(back.predict(buckets), whole.predict(buckets))
    assert back.to_bytes() == whole.to_bytes()
    assert len(whole.to_bytes()) < 200_000  # untouched embeddings follow from the seed


def test_a_copy_learns_alone():
    buckets, _, clicked = _pairs(512)
    first = DeepPredictor(ClickShape(FIELDS))
    before = first.predict(buckets)
    first.from_bytes(first.to_bytes()).learn(buckets, clicked)
    assert np.array_equal(first.predict(buckets), before)


def test_views_of_any_width_are_predicted_and_missing_features_say_nothing():
    predictor = DeepPredictor(ClickShape(fields=3))
    narrow = np.array([[5], [FEATURE_BUCKETS - 1]])
    wide = np.pad(narrow, ((0, 0), (0, 9)), constant_values=NO_FEATURE)
    predictor.learn(wide, np.array([True, False]))
    assert np.array_equal(predictor.predict(narrow), predictor.predict(wide))
    assert predictor.predict(np.empty((0, 4), dtype=np.int64)).shape == (0,)
    assert predictor.predict(np.empty((2, 0), dtype=np.int64)).shape == (2,)


def test_further_columns_count_whatever_their_order():
    predictor, row = DeepPredictor(ClickShape(fields=2)), np.array([[1, 2, 3, 4, 5]])
    assert predictor.predict(row) == pytest.approx(predictor.predict(row[:, [0, 1, 4, 3, 2]]))
    assert predictor.predict(row) != predictor.predict(row[:, [1, 0, 2, 3, 4]])


def test_other_random_numbers_are_left_alone():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    DeepPredictor()
    assert torch.equal(torch.rand(1), expected)
