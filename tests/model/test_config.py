"""The configuration of a run: all that follows from the one dial, the scale."""

import math
from dataclasses import replace

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
    WatchConfig,
    config_for_phase,
    config_for_scale,
    learning_rate_factor,
    with_gpu_micro_batches,
)
from rookery.model.shape import (
    ModelShape,
    layer_activation_bytes,
    matrix_parameters,
    training_flops_per_token,
)


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


@pytest.mark.parametrize(
    ("scale", "vocabulary", "width", "layers", "kv_heads", "hidden", "steps", "batch_tokens"),
    [
        (1e-4, 2048, 64, 1, 1, 192, 37, 2048),
        (0.003, 2048, 64, 1, 1, 192, 562, 4096),
        (0.03, 4096, 128, 2, 1, 384, 582, 8192),
        (0.3, 4096, 192, 4, 1, 512, 1109, 16_384),
        (1.0, 8192, 256, 5, 2, 704, 1580, 16_384),
        (3.0, 8192, 384, 6, 3, 1024, 2171, 16_384),
        (30.0, 16_384, 512, 8, 4, 1408, 4478, 32_768),
        (100.0, 16_384, 512, 12, 4, 1408, 5420, 65_536),
        (1e3, 32_768, 1024, 16, 8, 2752, 5588, 131_072),
        (1e4, 32_768, 1536, 24, 8, 4096, 9444, 262_144),
        (1e5, 65_536, 2048, 38, 8, 5504, 17_113, 524_288),
        (1e6, 65_536, 3072, 57, 8, 8192, 27_173, 1 << 20),
        (1e7, 65_536, 4096, 96, 8, 10_944, 46_739, 1 << 21),
        (1e8, 65_536, 6144, 144, 8, 16_384, 70_806, 1 << 22),
        (1e9, 65_536, 8192, 192, 8, 21_888, 150_513, 1 << 23),
        (1e12, 65_536, 12_288, 288, 8, 32_768, 1_407_555, 1 << 28),
    ],
)
def test_a_scale_stands_for_the_same_run_in_every_release(
    scale, vocabulary, width, layers, kv_heads, hidden, steps, batch_tokens
):
    """Results name a run by its scale, so a changed rule must show here and in the changelog."""
    shape = ModelShape(
        vocabulary, width, layers, width // 64, kv_heads, 64, hidden, 256, tied=False
    )
    assert config_for_scale(scale) == TrainConfig(
        scale,
        shape,
        steps,
        batch_tokens,
        micro_batch_tokens=None,
        warmup_steps=min(20, steps // 10),
        decay_steps=steps // 2,
        matrix_learning_rate=0.02,
        vector_learning_rate=0.02,
        momentum=0.9 if scale < 1 else 0.95,
        weight_decay=0.1,
        checkpoint_steps=min(200, max(5, steps // 20)),
        compiled=None,
        seed=0,
    )


def test_the_smallest_run_has_twenty_steps_and_saves_after_five():
    config = config_for_scale(1e-9)
    assert (config.steps, config.checkpoint_steps, config.warmup_steps) == (20, 5, 2)
    assert config.batch_tokens == 2048


def test_a_later_phase_goes_on_at_the_peak_with_documents_in_another_order():
    earlier = config_for_scale(0.03)
    later = config_for_phase(earlier, 0.06)
    assert later.steps == pytest.approx(2 * earlier.steps, abs=1)
    assert (later.warmup_steps, later.seed) == (0, earlier.seed + 1)
    assert (later.shape, later.batch_tokens) == (earlier.shape, earlier.batch_tokens)


def test_the_schedule_step_by_step():
    config = with_settings(config_for_scale(0.03), ["steps=10", "warmup_steps=3", "decay_steps=4"])
    factors = [learning_rate_factor(config, step) for step in range(10)]
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])


@pytest.mark.parametrize(
    ("name", "least", "below"),
    [
        ("steps", 1, 0),
        ("batch_tokens", 1, 0),
        ("micro_batch_tokens", 1, 0),
        ("checkpoint_steps", 1, 0),
        ("warmup_steps", 0, -1),
        ("decay_steps", 0, -1),
        ("seed", 0, -1),
        ("matrix_learning_rate", 0, -1e-9),
        ("vector_learning_rate", 0, -1e-9),
        ("momentum", 0, -1e-9),
        ("weight_decay", 0, -1e-9),
    ],
)
def test_a_number_of_a_run_has_a_least_value_and_a_largest(name, least, below):
    config = config_for_scale(0.03)
    assert getattr(replace(config, **{name: least}), name) == least
    with pytest.raises(UsageError, match=f"^{name}"):
        replace(config, **{name: below})
    with pytest.raises(UsageError, match=f"^{name}"):
        replace(config, **{name: 1.01e37})


def test_the_largest_rate_is_taken_and_a_momentum_of_one_is_not():
    config = config_for_scale(0.03)
    assert replace(config, weight_decay=1e37).weight_decay == 1e37
    assert replace(config, momentum=0.999).momentum == 0.999
    with pytest.raises(UsageError, match="momentum"):
        replace(config, momentum=1.0)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"seconds": 0.0}, {"seconds": math.inf}])
def test_a_stall_is_told_by_positive_numbers_alone(wrong):
    assert (WatchConfig().steps, WatchConfig().seconds) == (20, 300.0)
    assert WatchConfig(1, 0.5) == WatchConfig(steps=1, seconds=0.5)
    with pytest.raises(UsageError, match="must be positive"):
        WatchConfig(**wrong)


def test_a_gpu_too_small_for_a_row_still_takes_one():
    assert with_gpu_micro_batches(config_for_scale(0.03), 1).micro_batch_tokens == 256
