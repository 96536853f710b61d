"""Evaluation: judged only by what was not learned from, in order of time where there is one."""

import numpy as np
import pytest

from rookery.ads.predict.evaluate import choose, evaluate, ftrl_candidates, split
from rookery.ads.predict.ftrl import FtrlPredictor
from rookery.ads.predict.logs import ClickLog
from rookery.core.errors import UsageError
from rookery.core.protocols import ConstantPredictor

VIEWS = 6000


def _log(times: bool, views: int = VIEWS, seed: int = 0) -> ClickLog:
    """Return a log of ten ads with rates of 5% and 40%."""
    random = np.random.default_rng(seed)
    ads = random.integers(10, size=views)
    clicked = random.random(views) < np.where(ads < 5, 0.05, 0.4)
    return ClickLog("made", ads[:, None], clicked, np.arange(views) if times else None, {})


def test_in_order_of_time_nothing_is_learned_from_what_comes_later():
    parts = list(split(_log(times=True), 3))
    assert [(len(train), len(test)) for train, test in parts] == [(2000, 2000), (4000, 2000)]
    assert all(train.max() < test.min() for train, test in parts)


def test_without_time_each_fold_is_judged_by_all_others():
    parts = list(split(_log(times=False), 3))
    assert sorted(np.concatenate([test for _, test in parts])) == list(range(VIEWS))
    assert all(not set(train) & set(test) for train, test in parts)
    assert [len(train) for train, _ in parts] == [4000] * 3


@pytest.mark.parametrize("times", [True, False])
def test_planted_rates_are_found_and_calibrated(times):
    found = evaluate(_log(times))
    assert found.judged == (4000 if times else 6000)
    assert found.auc == pytest.approx(0.76, abs=0.03)  # that of the planted rates
    assert found.log_loss < found.constant_log_loss - 0.05
    assert found.calibration["predicted_by_real"] == pytest.approx(1.0, abs=0.1)
    assert found.calibration["expected_error"] < 0.05


def test_random_clicks_are_not_told_apart():
    log = _log(times=False)
    shuffled = np.random.default_rng(1).permutation(log.clicked)
    found = evaluate(ClickLog("made", log.buckets, shuffled, None, {}))
    assert found.auc == pytest.approx(0.5, abs=0.03)
    assert found.log_loss < found.constant_log_loss + 0.01


def test_the_candidate_is_chosen_that_held_out_views_speak_for():
    log = _log(times=True)
    bad, good = ConstantPredictor(0.9), FtrlPredictor(0.1, 0.2)
    place, chosen = choose([bad, good], log.buckets, log.clicked)
    assert (place, chosen) == (1, good)
    whole = FtrlPredictor(0.1, 0.2)
    known = 4800  # the held-out fifth is learned from afterwards
    whole.learn(log.buckets[:known], log.clicked[:known])
    whole.learn(log.buckets[known:], log.clicked[known:])
    assert chosen.to_bytes() == whole.to_bytes()


@pytest.mark.parametrize(("views", "folds"), [(299, 3), (6000, 1), (6000, 0), (6000, 61)])
def test_too_few_rows_or_folds_are_refused(views, folds):
    with pytest.raises(UsageError, match="cannot be judged"):
        list(split(_log(times=True, views=views), folds))


def test_the_real_logs_are_predicted_better_than_by_their_mean_rate(shared_data):
    from rookery.ads.predict.logs import read_clicks

    log = read_clicks(shared_data / "ads_criteo/criteo_dac_head.csv.gz")
    found = evaluate(log)
    assert found.auc > 0.7
    assert found.log_loss < found.constant_log_loss - 0.03
    assert len(ftrl_candidates(0.1)) > max(fold.chosen for fold in found.folds)
