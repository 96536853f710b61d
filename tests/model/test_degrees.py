"""Degrees of parallelism: which fit together, and one clear error line for those that do not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_run import CONFIG, SHAPE

from rookery.core.errors import UsageError
from rookery.model.config import config_for_scale
from rookery.model.degrees import (
    Degrees,
    check_fits,
    micro_batches,
    recomputed_layers,
    resolve_degrees,
    rows_a_piece,
    stage_layers,
)

small = st.integers(1, 4)


@given(small, small, small, small, small)
def test_what_is_left_is_sharded(replicate, shard, context, tensor, pipeline):
    asked = Degrees(replicate, None, context, tensor, pipeline)
    assert resolve_degrees(asked, replicate * shard * context * tensor * pipeline) == replace(
        asked, shard=shard
    )


@pytest.mark.parametrize(
    "degrees",
    [Degrees(tensor=2), Degrees(shard=2), Degrees(replicate=4), Degrees(shard=0)],
    ids=str,
)
def test_degrees_that_do_not_multiply_to_the_processes_are_refused(degrees):
    with pytest.raises(
        UsageError, match=r"do not multiply to 3 processes. Change --processes, or the degrees"
    ):
        resolve_degrees(degrees, 3)


def test_a_degree_below_one_is_refused_by_name():
    with pytest.raises(UsageError, match=r"parallel\.tensor must be at least 1, not 0"):
        resolve_degrees(Degrees(tensor=0), 2)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_of_layers_that_is_none_is_refused_by_name(share):
    with pytest.raises(
        UsageError, match=r"parallel\.recompute is a share of the layers, from 0 to 1"
    ):
        resolve_degrees(Degrees(recompute=share), 1)


@given(st.integers(1, 60), st.integers(0, 20))
def test_layers_that_are_computed_again_are_the_share_that_was_asked_for_and_lie_evenly(
    layers, twentieths
):
    share = twentieths / 20
    again = recomputed_layers(layers, share)
    assert len(again) == pytest.approx(layers * share, abs=1)
    halves = [sum(n < layers // 2 for n in again), sum(n >= layers - layers // 2 for n in again)]
    assert abs(halves[0] - halves[1]) <= 1


@pytest.mark.parametrize(
    ("degrees", "line"),
    [
        (Degrees(shard=1, tensor=2), r"parallel\.tensor must divide 1, not be 2.*key-value heads"),
        (Degrees(shard=1, context=5), r"parallel\.context must divide 16, not be 5"),
        (Degrees(shard=1, pipeline=3), r"2 layers cannot be spread over 3 pipeline stages"),
        (
            Degrees(shard=9),
            r"a step of 256 tokens is 8 rows of 32: too few for 9 shares.*batch_tokens",
        ),
        (Degrees(shard=1, groups_per_stage=2), r"groups_per_stage needs parallel\.pipeline"),
    ],
)
def test_a_degree_that_the_model_cannot_be_divided_by_is_refused(degrees, line):
    with pytest.raises(UsageError, match=line):
        check_fits(degrees, CONFIG)


@pytest.mark.parametrize(("tokens", "wanted"), [(16, 32), (255, 224)])
def test_a_step_that_is_no_whole_number_of_rows_is_refused(tokens, wanted):
    line = rf"{tokens} tokens is not a whole number of rows of 32\. Set batch_tokens={wanted}"
    with pytest.raises(UsageError, match=f"a step of {line}"):
        check_fits(Degrees(shard=1), replace(CONFIG, batch_tokens=tokens))


def test_tokens_of_a_row_that_context_and_tensor_together_cannot_share_are_refused():
    config = replace(CONFIG, shape=replace(SHAPE, heads=4, kv_heads=4))
    check_fits(Degrees(shard=1, tensor=4, context=4), config)
    with pytest.raises(
        UsageError,
        match=r"context × parallel\.tensor must divide 16, not be 32. Together they have to divide",
    ):
        check_fits(Degrees(shard=1, tensor=4, context=8), config)


@given(st.integers(1, 60), st.integers(1, 60))
def test_every_layer_is_in_exactly_one_stage_and_stages_are_even(layers, stages):
    stages = min(stages, layers)
    ranges = stage_layers(replace(SHAPE, layers=layers), stages)
    assert [number for held in ranges for number in held] == list(range(layers))
    assert max(map(len, ranges)) - min(map(len, ranges)) <= 1


@given(
    st.sampled_from([0.001, 0.1, 10.0, 1e4]),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 8),
)
def test_a_pipelines_micro_batches_hold_the_whole_share_and_fill_the_pipeline(
    scale, pipeline, groups, data
):
    config, degrees = config_for_scale(scale), Degrees(1, data, 1, 1, pipeline, groups)
    pieces = micro_batches(degrees, config)
    assert pieces >= degrees.stages
    assert pieces % pipeline == 0
    rows = config.batch_tokens // config.shape.context_tokens
    assert rows_a_piece(config, data, pieces) * pieces * data >= rows
