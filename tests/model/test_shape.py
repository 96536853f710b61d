"""Sizes and their cost; that the parameters are the network's own is tested in test_network.py."""

import pytest

from rookery.core.errors import DataError
from rookery.model.shape import (
    ModelShape,
    forward_flops_per_token,
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
