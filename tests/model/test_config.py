"""The configuration of a run: all that follows from the one dial, the scale."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.config import from_plain, to_plain, with_settings
from rookery.core.errors import UsageError
from rookery.model.config import (
    FEWEST_STEPS,
    LARGEST_MICRO_BATCH_TOKENS,
    PETA,
    TrainConfig,
    config_for_scale,
    learning_rate_factor,
    with_gpu_micro_batches,
)
from rookery.model.shape import layer_activation_bytes, matrix_parameters, training_flops_per_token


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
    factors = [
        learning_rate_factor(config, step) for step in (0, config.warmup_steps, config.steps - 1)
    ]
    assert 0 < factors[0] <= factors[1] == 1.0
    assert 0 < factors[2] < 0.2


@given(st.floats(1e-3, 1e9), st.sampled_from([16, 80, 141, 10_000]))
def test_micro_batches_of_a_gpu_are_a_power_of_two_that_fits_its_memory(scale, gigabytes):
    config = config_for_scale(scale)
    tokens = with_gpu_micro_batches(config, gigabytes * 10**9).micro_batch_tokens

    def kept(tokens: int) -> int:
        return tokens * config.shape.layers * layer_activation_bytes(config.shape)

    assert tokens.bit_count() == 1
    assert config.shape.context_tokens <= tokens <= LARGEST_MICRO_BATCH_TOKENS
    assert tokens == config.shape.context_tokens or kept(tokens) <= gigabytes * 1e9 / 3
    assert tokens == LARGEST_MICRO_BATCH_TOKENS or kept(2 * tokens) > gigabytes * 1e9 / 3


def test_micro_batches_that_a_run_asks_for_stand_on_a_gpu_too():
    asked = with_settings(config_for_scale(0.03), ["micro_batch_tokens=512"])
    assert with_gpu_micro_batches(asked, 80 * 10**9) == asked


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_a_scale_that_is_no_amount_is_refused(scale):
    with pytest.raises(UsageError, match="positive number of petaFLOP"):
        config_for_scale(scale)


def test_settings_reach_into_the_shape_and_survive_json():
    config = with_settings(config_for_scale(0.03), ["steps=7", "shape.layers=2"])
    assert (config.steps, config.shape.layers) == (7, 2)
    assert from_plain(TrainConfig, to_plain(config)) == config
