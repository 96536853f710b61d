"""Sizes and their cost; that the parameters are the network's own is tested in test_network.py."""

from dataclasses import replace

import pytest

from rookery.core.errors import DataError
from rookery.model.shape import (
    ModelShape,
    forward_flops_per_token,
    layer_activation_bytes,
    layer_matrix_parameters,
    matrix_parameters,
    parameters,
    training_flops_per_token,
)

# The published sizes of Qwen3-0.6B: 596 million parameters, 440 million of them outside the
# embedding.
QWEN3_06B = ModelShape(151_936, 1024, 28, 16, 8, 128, 3072, 40_960)


def test_a_published_model_has_its_published_size():
    assert round(parameters(QWEN3_06B) / 1e6) == 596
    assert round((parameters(QWEN3_06B) - 151_936 * 1024) / 1e6) == 440


def test_training_costs_six_for_each_parameter_when_nothing_is_attended():
    norms = 28 * (2 * 1024 + 2 * 128) + 1024
    assert training_flops_per_token(QWEN3_06B, attended_tokens=0) == 6 * (
        parameters(QWEN3_06B) - norms
    )


def test_attention_costs_grow_with_what_is_attended():
    less, more = (forward_flops_per_token(QWEN3_06B, n) for n in (100, 200))
    assert more - less == 4 * 28 * 16 * 128 * 100


@pytest.mark.parametrize(
    ("sizes", "named"),
    [((64, 32, 0, 2, 1, 16, 64, 32), "layers"), ((64, 32, 1, 3, 2, 16, 64, 32), "kv_heads")],
)
def test_an_impossible_shape_is_refused_by_name(sizes, named):
    with pytest.raises(DataError, match=f"shape.{named}"):
        ModelShape(*sizes)


def test_every_size_is_at_least_one_and_named_if_it_is_not():
    sizes = dict(
        vocabulary=1,
        width=1,
        layers=1,
        heads=1,
        kv_heads=1,
        head_size=2,
        hidden=1,
        context_tokens=1,
    )
    assert ModelShape(**sizes).layers == 1
    for name in sizes:
        with pytest.raises(DataError, match=f"shape.{name}"):
            ModelShape(**(sizes | {name: 0}))
    with pytest.raises(DataError, match=r"shape\.head_size"):
        ModelShape(**(sizes | {"head_size": 3}))


def test_the_parts_of_a_small_shape_are_those_worked_out_by_hand():
    shape = ModelShape(100, 8, 3, 4, 2, 6, 16, 32)
    attention = 8 * 24 + 8 * 12 + 8 * 12 + 24 * 8  # queries, keys, values, output
    assert layer_matrix_parameters(shape) == attention + 3 * 8 * 16
    assert matrix_parameters(shape) == 3 * (attention + 3 * 8 * 16) + 100 * 8
    assert parameters(shape) == matrix_parameters(shape) + 3 * (2 * 8 + 2 * 6) + 8
    assert parameters(replace(shape, tied=False)) == parameters(shape) + 100 * 8
    assert parameters(replace(shape, normed=False)) == parameters(shape) - 3 * 2 * 6
    assert layer_activation_bytes(shape) == 2 * (4 * 8 + 24 + 2 * 12 + 2 * 16)
    assert forward_flops_per_token(shape, 10) == 2 * matrix_parameters(shape) + 4 * 3 * 24 * 10
    assert forward_flops_per_token(shape) == forward_flops_per_token(shape, 32)
    assert training_flops_per_token(shape) == 3 * forward_flops_per_token(shape)
    assert (shape.rope_theta, shape.norm_epsilon) == (10_000.0, 1e-6)
