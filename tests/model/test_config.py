"""One dial: what follows from a scale."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.config import from_plain, to_plain, with_settings
from rookery.core.errors import UsageError
from rookery.model.config import FEWEST_STEPS, PETA, TrainConfig, config_for_scale, learning_rate_factor
from rookery.model.shape import matrix_parameters, training_flops_per_token


@given(st.floats(1e-3, 1e9))
def test_a_run_spends_the_compute_of_its_scale(scale):
    config = config_for_scale(scale)
    spent = config.tokens * training_flops_per_token(config.shape) / PETA
    assert config.steps == FEWEST_STEPS or math.isclose(spent, scale, rel_tol=0.03)


@given(st.floats(1e-3, 1e8), st.floats(1.0, 100.0))
def test_more_compute_never_makes_a_smaller_model(scale, more):
    small, large = config_for_scale(scale), config_for_scale(scale * more)
    assert matrix_parameters(small.shape) <= matrix_parameters(large.shape) * 1.0001
    assert small.shape.vocabulary <= large.shape.vocabulary


@given(st.floats(1e-5, 1e9))
def test_the_schedule_rises_holds_and_falls_to_almost_nothing(scale):
    config = config_for_scale(scale)
    factors = [learning_rate_factor(config, step) for step in (0, config.warmup_steps, config.steps - 1)]
    assert 0 < factors[0] <= factors[1] == 1.0
    assert 0 < factors[2] < 0.2


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_a_scale_that_is_no_amount_is_refused(scale):
    with pytest.raises(UsageError, match="positive number of petaFLOP"):
        config_for_scale(scale)


def test_settings_reach_into_the_shape_and_survive_json():
    config = with_settings(config_for_scale(0.03), ["steps=7", "shape.layers=2"])
    assert (config.steps, config.shape.layers) == (7, 2)
    assert from_plain(TrainConfig, to_plain(config)) == config
