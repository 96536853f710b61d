"""Planned shapes and batches against published models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.fleet.planning.sizing import CONTEXT_TOKENS, sequences_per_step, shape_for_parameters
from rookery.model.shape import ModelShape, parameters


@pytest.mark.parametrize(("wanted", "layers", "width"), [(8e9, 32, 4096), (405e9, 126, 16384)])
def test_the_shape_comes_close_to_llama_3_of_the_same_size(wanted, layers, width):
    shape = shape_for_parameters(int(wanted))
    assert shape.layers == pytest.approx(layers, rel=0.1)
    assert shape.width == pytest.approx(width, rel=0.05)


@given(st.integers(10**9, 10**13))
def test_the_shape_has_about_the_parameters_asked_for(wanted):
    assert parameters(shape_for_parameters(wanted)) == pytest.approx(wanted, rel=0.08)


def test_the_batch_meets_llama_3_and_nanochat():
    assert sequences_per_step(15.6e12) * CONTEXT_TOKENS == pytest.approx(16.8e6, rel=0.01)
    assert sequences_per_step(1.2e9) * CONTEXT_TOKENS == pytest.approx(0.5e6, rel=0.2)


@pytest.mark.parametrize(
    ("wanted", "width", "layers", "heads", "kv_heads", "hidden"),
    [
        (10**6, 128, 2, 1, 1, 448),
        (10**8, 512, 8, 4, 4, 1792),
        (8 * 10**9, 4096, 34, 32, 8, 14_336),
        (405 * 10**9, 15_872, 126, 128, 8, 55_552),
        (10**13, 46_720, 366, 368, 8, 163_520),
    ],
)
def test_a_number_of_parameters_stands_for_the_same_shape_in_every_release(
    wanted, width, layers, heads, kv_heads, hidden
):
    shape = ModelShape(131_072, width, layers, heads, kv_heads, 128, hidden, 8192)
    assert shape_for_parameters(wanted) == shape


def test_a_step_is_in_whole_contexts_and_never_empty():
    assert [sequences_per_step(tokens) for tokens in (1e3, 1.2e9, 1e12, 15.6e12)] == [
        *(1, 54, 716, 2051)
    ]
