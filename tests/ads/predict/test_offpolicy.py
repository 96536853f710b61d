"""Off-policy estimates, against worlds of which the truth is known."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_choices import a_world

from rookery.ads.predict.offpolicy import (
    ChoiceLog,
    Policy,
    counted_policy,
    effective_views,
    estimates,
    judge,
    mean_clicks,
)
from rookery.core.errors import UsageError

KINDS = ("ips", "snips", "dr")


def _log(items, clicked, propensities, positions=None) -> ChoiceLog:
    items = np.array(items)
    positions = np.ones(len(items), dtype=int) if positions is None else np.array(positions)
    return ChoiceLog(items, positions, np.array(clicked, dtype=bool), np.array(propensities))


@pytest.mark.slow
@pytest.mark.parametrize("ctr", [0.02, 0.005])
def test_intervals_cover_the_truth_in_93_to_97_percent_of_logs(ctr):
    random, covered = np.random.default_rng(2), []
    for _ in range(1000):
        world = a_world(random, ctr)
        log = world.log(10_000, random)
        counted = counted_policy(world.judged_log(10_000, random), log)
        for policy in (world.judged, counted):
            found = estimates(log, policy)
            covered.append([found[k].low <= world.truth <= found[k].high for k in KINDS])
    shares = np.mean(np.reshape(covered, (1000, -1)), axis=0)
    assert shares.min() >= 0.93
    assert shares.max() <= 0.97


def test_estimates_are_right_in_the_mean_and_a_model_of_clicks_narrows_them():
    random = np.random.default_rng(0)
    world = a_world(random, ctr=0.3)
    found = [estimates(world.log(2000, random), world.judged) for _ in range(200)]
    for kind in KINDS:
        assert np.mean([one[kind].value for one in found]) == pytest.approx(world.truth, rel=0.01)
    widths = {k: np.mean([one[k].high - one[k].low for one in found]) for k in KINDS}
    assert widths["dr"] < widths["ips"]


def test_dr_stays_near_the_truth_where_propensities_are_wrong_and_ips_does_not():
    random = np.random.default_rng(0)
    world = a_world(random, ctr=0.2, positions=1, items=5)
    log = world.log(200_000, random)
    found = estimates(replace(log, propensities=log.propensities * 0.8), world.judged)
    assert abs(found["ips"].value - world.truth) > 0.2 * world.truth
    assert found["dr"].value == pytest.approx(world.truth, rel=0.03)


def test_a_policy_judged_by_its_own_log_has_what_the_log_has():
    log = _log([1, 2, 1, 2], [1, 0, 0, 0], [0.5] * 4)
    policy = Policy(np.array([1, 2]), np.array([1]), np.array([[0.5, 0.5]]))
    assert estimates(log, policy)["ips"].value == mean_clicks(log).value == 0.25
    assert estimates(log, policy)["snips"].value == 0.25
    assert effective_views(log, policy) == 4


def test_a_log_without_clicks_says_how_many_it_may_have_missed():
    found = estimates(
        _log([1, 2] * 500, [0] * 1000, [0.5] * 1000),
        Policy(np.array([1, 2]), np.array([1]), np.array([[0.5, 0.5]])),
    )
    assert {(one.value, one.low) for one in found.values()} == {(0.0, 0.0)}
    assert found["ips"].high == pytest.approx(0.0037, abs=0.0001)


def test_counted_chances_are_by_position_and_widen_the_interval():
    policy_log = _log([1, 2, 2, 2], [0] * 4, [1.0] * 4, [1, 1, 2, 2])
    log = _log([1, 2] * 100, [1, 0] * 100, [0.5] * 200, [1] * 200)
    counted = counted_policy(policy_log, log)
    assert counted.chances.tolist() == [[0.5, 0.5], [0.0, 1.0]]
    known = replace(counted, views=None)
    assert estimates(log, counted)["ips"].high > estimates(log, known)["ips"].high


@pytest.mark.parametrize(
    ("policy_log", "message"),
    [
        (_log([1], [0], [1.0], [2]), "no view at position 1"),
        (_log([3], [0], [1.0]), "item 3, which the other log never shows"),
    ],
)
def test_what_no_log_can_tell_is_refused(policy_log, message):
    with pytest.raises(UsageError, match=message):
        judge(_log([1, 2], [0, 1], [0.5, 0.5]), policy_log)
