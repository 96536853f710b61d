"""The memory and time of layouts against published runs, and the laws that they obey."""

import json
import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.fleet.planning.gpus import find_gpu
from rookery.fleet.planning.layout import MEMORY_SHARE, Layout, best_layout, memory_of, time_of
from rookery.fleet.planning.sizing import shape_for_parameters
from rookery.model.degrees import Degrees
from rookery.model.shape import ModelShape, training_flops_per_token

H100 = find_gpu("h100")
LLAMA_405B = ModelShape(128_256, 16_384, 126, 128, 8, 128, 53_248, 8192)
EIGHT_B = shape_for_parameters(8_000_000_000)


def predicted_mfu(shape, layout, gpu) -> float:
    work = training_flops_per_token(shape) * layout.sequences * shape.context_tokens
    return work / time_of(shape, layout, gpu).total / layout.gpus / gpu.peak_flops


@pytest.mark.parametrize(("data", "micro_batches", "published"), [(64, 32, 0.43), (128, 16, 0.41)])
def test_llama_3_405b_is_predicted_within_a_tenth_and_fits(data, micro_batches, published):
    layout = Layout(
        Degrees(replicate=data, shard=1, tensor=8, pipeline=16, groups_per_stage=8),
        1,
        micro_batches,
    )
    assert predicted_mfu(LLAMA_405B, layout, H100) == pytest.approx(published, rel=0.1)
    assert memory_of(LLAMA_405B, layout).total < H100.memory_bytes


def published_rows(shared_data):
    runs = json.loads((shared_data / "published_runs.json").read_text())["runs"]
    groups = ("megatron_h100_weak", "mpt_h100_80gb", "mpt_a100_80gb")
    return [
        r for r in runs if r["group"] in groups and r["tp"] and r["seq_len"] <= 8192 and r["mfu"]
    ]


def as_planned(row) -> tuple[ModelShape, Layout]:
    """Return a published run as shape and layout.

    Its GELU of two matrices becomes a SwiGLU of as many weights.
    """
    heads = row["heads"]
    head_size = row["hidden"] // heads
    hidden = round((row["ffn"] or 4 * row["hidden"]) * 2 / 3)
    shape = ModelShape(
        row["vocab"],
        row["hidden"],
        row["layers"],
        heads,
        heads,
        head_size,
        hidden,
        row["seq_len"],
        tied=True,
    )
    micro = row["micro_batch"] or (4 if row["pp"] == 1 else 1)
    micro_batches = max(
        1, math.ceil(row["global_batch_tokens"] / row["seq_len"] / row["dp"] / micro)
    )
    groups = max(1, min(8, row["layers"] // row["pp"])) if row["pp"] > 1 else 1
    recompute = 1.0 if row["activation_checkpointing"] == "full" else 0.0
    replicate, shard = (1, row["dp"]) if row["zero"] else (row["dp"], 1)
    degrees = Degrees(replicate, shard, 1, row["tp"], row["pp"], groups, recompute)
    return shape, Layout(degrees, micro, micro_batches)


def test_published_dense_runs_are_predicted_within_a_third(shared_data):
    errors = []
    for row in published_rows(shared_data):
        gpu = H100 if row["accelerator"].startswith("H100") else find_gpu("a100")
        errors.append(abs(predicted_mfu(*as_planned(row), gpu) / row["mfu"] - 1))
    assert len(errors) > 80
    assert statistics.median(errors) < 0.12
    assert max(errors) < 0.34


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 600), st.integers(1, 200), st.integers(16, 1000))
def test_more_gpus_are_never_slower_and_every_layout_fits(gpus, more, sequences):
    fewer = best_layout(EIGHT_B, sequences, gpus, H100)
    many = best_layout(EIGHT_B, sequences, gpus + more, H100)
    for layout, there in ((fewer, gpus), (many, gpus + more)):
        assert layout.gpus <= there
        assert layout.sequences >= sequences
        assert memory_of(EIGHT_B, layout).total <= MEMORY_SHARE * H100.memory_bytes
    assert time_of(EIGHT_B, many, H100).total <= time_of(EIGHT_B, fewer, H100).total


@given(
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([1, 2, 4]),
    st.integers(1, 64),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_recomputing_saves_memory_and_costs_time(tensor, pipeline, micro_batches, recompute):
    def layout(share: float) -> Layout:
        return Layout(Degrees(4, 1, 1, tensor, pipeline, 1, share), 4, micro_batches)

    assert (
        memory_of(EIGHT_B, layout(recompute)).activations
        <= memory_of(EIGHT_B, layout(0.0)).activations * 1.05
    )
    assert (
        time_of(EIGHT_B, layout(recompute), H100).total >= time_of(EIGHT_B, layout(0.0), H100).total
    )


def test_what_does_not_fit_has_no_layout():
    assert best_layout(shape_for_parameters(10**12), 100, 8, H100) is None
