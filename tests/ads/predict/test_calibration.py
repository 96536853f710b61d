"""Calibration: a line that helps is used, one that does not is not, and states come back."""

import math

import numpy as np
import pytest

from rookery.ads.predict.calibration import (
    MOST_KEPT,
    CalibratedPredictor,
    Platt,
    auc,
    calibration,
    fit_platt,
    helpful_platt,
    log_loss,
    logits_of,
)
from rookery.ads.predict.ftrl import FtrlPredictor, sigmoid
from rookery.core.protocols import ConstantPredictor

VIEWS = 20_000


def _views(seed: int = 0, views: int = VIEWS) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits of views, and clicks that come as these say."""
    random = np.random.default_rng(seed)
    logits = random.normal(-2.0, 1.0, size=views)
    return logits, random.random(views) < sigmoid(logits)


class _Overdone:
    """A predictor whose logits are twice as large as they should be; a view's bucket tells it."""

    name = "overdone"

    def predict(self, buckets):
        return sigmoid(2.0 * (buckets[:, 0] / 1000.0 - 4.0))

    def learn(self, buckets, clicked):
        pass

    def to_bytes(self):
        return b"inside"

    def from_bytes(self, state):
        assert state == b"inside"
        return self


def _overdone_views() -> tuple[np.ndarray, np.ndarray]:
    logits, clicked = _views()
    return np.clip((logits + 4.0) * 1000.0, 0, 9000).astype(np.int64)[:, None], clicked


def test_a_line_undoes_what_was_overdone():
    logits, clicked = _views()
    line = fit_platt(sigmoid(2.0 * logits + 1.0), clicked)
    assert line.slope == pytest.approx(0.5, abs=0.03)
    assert line.intercept == pytest.approx(-0.5, abs=0.06)
    assert line.apply(sigmoid(2.0 * logits + 1.0)) == pytest.approx(sigmoid(logits), abs=0.03)


def test_no_line_is_used_that_does_not_lower_held_out_loss():
    logits, clicked = _views()
    predicted = sigmoid(2.0 * logits)
    assert helpful_platt(predicted, clicked) is not None
    turned = np.concatenate([predicted[: VIEWS // 2], sigmoid(logits)[VIEWS // 2 :]])
    assert helpful_platt(turned, clicked) is None  # what held in the older half no longer does


def test_no_line_is_fitted_to_few_clicks_or_turns_the_order():
    logits, clicked = _views(views=400)
    assert helpful_platt(sigmoid(2.0 * logits), clicked) is None
    logits, clicked = _views()
    assert fit_platt(sigmoid(-logits), clicked) is None
    assert helpful_platt(sigmoid(-logits), clicked) is None


def test_a_predictor_that_overdoes_is_calibrated_while_it_learns():
    buckets, clicked = _overdone_views()
    predictor = CalibratedPredictor(_Overdone())
    assert predictor.platt is None
    predictor.learn(buckets, clicked)
    assert predictor.platt.slope == pytest.approx(0.5, abs=0.1)
    before, after = _Overdone().predict(buckets), predictor.predict(buckets)
    assert log_loss(after, clicked) < log_loss(before, clicked) - 0.01
    assert calibration(after, clicked)["predicted_by_real"] == pytest.approx(1.0, abs=0.05)
    assert np.array_equal(np.argsort(before), np.argsort(after))


def test_it_comes_back_from_its_bytes_and_learns_on_as_if_it_had_never_stopped():
    buckets, clicked = _overdone_views()
    whole, first = CalibratedPredictor(_Overdone()), CalibratedPredictor(_Overdone())
    whole.learn(buckets, clicked)
    first.learn(buckets[:10_240], clicked[:10_240])
    back = CalibratedPredictor(_Overdone()).from_bytes(first.to_bytes())
    back.learn(buckets[10_240:], clicked[10_240:])
    assert back.to_bytes() == whole.to_bytes()
    assert np.array_equal(back.predict(buckets), whole.predict(buckets))


def test_the_state_of_a_predictor_that_was_not_calibrated_is_gone_on_with():
    plain = FtrlPredictor()
    plain.learn(np.array([[1, 2]]), np.array([True]))
    calibrated = CalibratedPredictor(FtrlPredictor()).from_bytes(plain.to_bytes())
    assert calibrated.name == plain.name
    assert calibrated.predict(np.array([[1, 2]])) == plain.predict(np.array([[1, 2]]))


def test_only_the_newest_quarter_is_kept_and_never_too_much():
    predictor = CalibratedPredictor(ConstantPredictor(0.5))
    empty = len(predictor.to_bytes())
    predictor.learn(np.zeros((40_000, 0), np.int64), np.zeros(40_000, bool))
    assert (len(predictor.to_bytes()) - empty) / 5 == pytest.approx(10_000, abs=300)
    predictor.learn(np.zeros((400_000, 0), np.int64), np.zeros(400_000, bool))
    assert len(predictor.to_bytes()) - empty == 5 * MOST_KEPT


def test_measures_of_known_cases():
    clicked = np.array([True, False, True, False])
    assert auc(np.array([0.9, 0.1, 0.8, 0.2]), clicked) == 1.0
    assert auc(np.full(4, 0.5), clicked) == 0.5
    assert math.isnan(auc(np.full(4, 0.5), np.ones(4, bool)))
    assert log_loss(np.full(4, 0.5), clicked) == pytest.approx(math.log(2))
    assert calibration(np.full(4, 0.25), clicked)["predicted_by_real"] == 0.5
    assert calibration(np.full(4, 0.5), clicked)["expected_error"] == pytest.approx(0.5)
    assert Platt().apply(np.array([0.3])) == pytest.approx([0.3])
    assert np.isfinite(logits_of(np.array([0.0, 1.0]))).all()
