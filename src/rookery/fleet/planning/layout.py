"""Layouts of a model on GPUs: the memory and time that each needs, and the quickest that fits.

Pure arithmetic, in seconds and bytes. `memory_of` and `time_of` give the costs of one layout, part
by part; `best_layout` tries all layouts. The catalogue of GPUs is in `gpus.py`; days and money are
in `plan.py`.

Letters as in the field: t tensor, p pipeline and d data degree; m micro-batches per step; v layer
groups per stage (interleaved 1F1B).
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from rookery.fleet.planning.gpus import GPUS_PER_NODE, Gpu
from rookery.model.degrees import Degrees
from rookery.model.shape import (
    ModelShape,
    forward_flops_per_token,
    layer_activation_bytes,
    layer_matrix_parameters,
    parameters,
)

MEMORY_SHARE = 0.92
"""The share of a GPU's memory to fill; the framework and fragmentation take the rest."""

WEIGHT_BYTES, GRADIENT_BYTES, OPTIMIZER_BYTES = 2, 4, 12
"""Bytes per parameter in mixed precision.

The optimizer is Adam, with the weights in float32 and two moments.
"""

LINK_SHARE = 0.7
"""The share of a link's bandwidth that collectives reach.

This is about what NCCL's own tests show for large messages.
"""

HALF_SPEED_WIDTH = 512
"""The width of a model at which matmuls reach half of the sustained share of the peak."""


@dataclass(frozen=True)
class Layout:
    """The degrees of parallelism, and how the batch of a step is cut into micro-batches.

    micro_batch: sequences that go through the model together; micro_batches: how many of those a
    step has. Weights and gradients are spread over `degrees.shard` (FSDP). The optimizer's state is
    planned as spread over all of the data degree, over replicas too (ZeRO stage 1).
    """

    degrees: Degrees
    micro_batch: int
    micro_batches: int

    @property
    def gpus(self) -> int:
        """Return the number of GPUs that the layout uses."""
        return self.degrees.processes

    @property
    def sharded(self) -> bool:
        """Return whether weights and gradients are spread over processes (FSDP)."""
        return (self.degrees.shard or 1) > 1

    @property
    def sequences(self) -> int:
        """Return the global batch: the sequences of one step."""
        return self.degrees.data * self.micro_batch * self.micro_batches

    def to_dict(self) -> dict[str, Any]:
        """Return the layout flat, as `rookery fleet plan --json` prints it."""
        degrees = self.degrees
        return {
            "tensor": degrees.tensor,
            "pipeline": degrees.pipeline,
            "data": degrees.data,
            "groups_per_stage": degrees.groups_per_stage,
            "micro_batch": self.micro_batch,
            "micro_batches": self.micro_batches,
            "sharded": self.sharded,
            "recompute": degrees.recompute,
        }


@dataclass(frozen=True)
class Memory:
    """The bytes that are held on the fullest GPU, by kind."""

    weights: float
    gradients: float
    optimizer: float
    activations: float

    @property
    def total(self) -> float:
        """Return the sum of all kinds."""
        return self.weights + self.gradients + self.optimizer + self.activations


@dataclass(frozen=True)
class StepTime:
    """The seconds of one optimizer step, in the parts that add up to it."""

    compute: float
    tensor_wait: float
    bubble: float
    pipeline_wait: float
    data_wait: float

    @property
    def total(self) -> float:
        """Return the seconds of the whole step."""
        return self.compute + self.tensor_wait + self.bubble + self.pipeline_wait + self.data_wait


def memory_of(shape: ModelShape, layout: Layout) -> Memory:
    """Return the memory of a layout in mixed precision with Adam, whose state is spread over d.

    Activations: `layer_activation_bytes`, divided by t too (sequence parallel); the first stage
    holds the micro-batches in flight.
    """
    held = parameters(shape) / (layout.degrees.tensor * layout.degrees.pipeline)
    spread = layout.degrees.data if layout.sharded else 1
    stage_layers = math.ceil(shape.layers / layout.degrees.pipeline)
    tokens = layout.micro_batch * shape.context_tokens
    in_flight: float = min(layout.degrees.pipeline, layout.micro_batches)
    if layout.degrees.groups_per_stage > 1:
        in_flight *= 1 + (layout.degrees.pipeline - 1) / (
            layout.degrees.pipeline * layout.degrees.groups_per_stage
        )
    whole = layer_activation_bytes(shape)
    layer_bytes = (
        layout.degrees.recompute * 2 * shape.width + (1 - layout.degrees.recompute) * whole
    )
    working = whole if layout.degrees.recompute else 0
    logits = 6 * shape.vocabulary
    activations = (
        tokens * (in_flight * stage_layers * layer_bytes + working + logits) / layout.degrees.tensor
    )
    gathered = (
        2 * WEIGHT_BYTES * layer_matrix_parameters(shape) / layout.degrees.tensor
        if layout.sharded
        else 0
    )
    weights, gradients = WEIGHT_BYTES * held / spread + gathered, GRADIENT_BYTES * held / spread
    return Memory(weights, gradients, OPTIMIZER_BYTES * held / layout.degrees.data, activations)


def time_of(shape: ModelShape, layout: Layout, gpu: Gpu) -> StepTime:
    """Return the time of a step: compute, and the waits that no overlap hides.

    The slowest stage of the pipeline sets the pace.
    """
    stages, m = layout.degrees.pipeline, layout.micro_batches
    uneven = math.ceil(shape.layers / stages) * stages / shape.layers
    compute = m * _micro_batch_seconds(shape, layout, gpu) * uneven
    tensor_wait = m * _tensor_seconds(shape, layout, gpu) * uneven
    bubble = (compute + tensor_wait) * (stages - 1) / (layout.degrees.groups_per_stage * m)
    pipeline_wait = m * _pipeline_seconds(shape, layout, gpu)
    return StepTime(
        compute, tensor_wait, bubble, pipeline_wait, _data_wait_seconds(shape, layout, gpu, compute)
    )


def _micro_batch_seconds(shape: ModelShape, layout: Layout, gpu: Gpu) -> float:
    speed = gpu.peak_flops * gpu.sustained * shape.width / (shape.width + HALF_SPEED_WIDTH)
    tokens = layout.micro_batch * shape.context_tokens
    return (
        tokens
        * executed_flops_per_token(shape, layout.degrees.recompute)
        / (layout.degrees.tensor * layout.degrees.pipeline)
        / speed
    )


def executed_flops_per_token(shape: ModelShape, recompute: float) -> float:
    """Return the FLOP that are executed per token, with a share of the layers recomputed.

    These are the forward pass, the backward pass (twice the forward) and the forward again of the
    recomputed layers.
    Attention counts in full, not halved for causality: a causal kernel skips half of it, at about
    half the speed.
    """
    return forward_flops_per_token(shape) * (3 + recompute)


def _tensor_seconds(shape: ModelShape, layout: Layout, gpu: Gpu) -> float:
    """Return the seconds per micro-batch that all_reduces in a tensor group take.

    There are four per layer (two forward, two backward), of the residual stream in bf16.
    """
    tokens = layout.micro_batch * shape.context_tokens
    bytes_moved = 2 * (layout.degrees.tensor - 1) / layout.degrees.tensor * tokens * shape.width * 2
    passes = 4 + 2 * layout.degrees.recompute
    layers = shape.layers / layout.degrees.pipeline
    return passes * layers * bytes_moved / (gpu.link_bytes_per_second * LINK_SHARE)


def _pipeline_seconds(shape: ModelShape, layout: Layout, gpu: Gpu) -> float:
    """Return the seconds per micro-batch that sending between the stages of a pipeline takes.

    For each layer group, the residual stream goes to the next stage and its gradient comes back.
    """
    if layout.degrees.pipeline == 1:
        return 0.0
    stream = layout.micro_batch * shape.context_tokens * shape.width * 2 / layout.degrees.tensor
    return (
        2 * layout.degrees.groups_per_stage * stream / (gpu.network_bytes_per_second * LINK_SHARE)
    )


def _data_wait_seconds(shape: ModelShape, layout: Layout, gpu: Gpu, compute: float) -> float:
    """Return the seconds per step that the collectives of the data degree are waited for.

    Gradients (4 bytes per parameter) are reduced and weights (2 bytes) gathered. With sharding this
    happens in every micro-batch (weights twice) and may hide behind all of the compute; otherwise
    it happens once per step and may hide behind one micro-batch. At most 0.8 of that compute time
    hides it.
    """
    held = parameters(shape) / (layout.degrees.tensor * layout.degrees.pipeline)
    bytes_moved = held * (8 * layout.micro_batches if layout.sharded else 6)
    seconds = (
        bytes_moved
        * (layout.degrees.data - 1)
        / layout.degrees.data
        / (_data_bandwidth(layout, gpu) * LINK_SHARE)
    )
    behind = compute if layout.sharded else compute / layout.micro_batches
    return max(0.0, seconds - 0.8 * behind)


def _data_bandwidth(layout: Layout, gpu: Gpu) -> float:
    """Return the bytes per second of a data-parallel group on one GPU.

    Within a node this is the link, else a share of the node's network: the t members of a tensor
    group each run their own data-parallel group, so a group has 8/t of the node's ports.
    """
    if layout.gpus <= GPUS_PER_NODE:
        return gpu.link_bytes_per_second
    return min(
        gpu.link_bytes_per_second,
        gpu.network_bytes_per_second * GPUS_PER_NODE / layout.degrees.tensor,
    )


def best_layout(shape: ModelShape, sequences: int, gpus: int, gpu: Gpu) -> Layout | None:
    """Return the layout with the shortest step that fits the memory, or None if none fits.

    gpus: how many GPUs it may use at most. The layouts on n GPUs are tried for n + 1 too, so more
    GPUs are never slower on paper.
    """
    best, best_seconds = None, math.inf
    for base, sharded in itertools.product(_degrees(shape, gpus), (False, True)):
        if sharded and base.degrees.pipeline > 1:
            continue  # each micro-batch of a pipeline would gather the weights again
        for layout in _with_batches(base, sequences, gpus, sharded):
            time = time_of(shape, layout, gpu)
            if time.compute > best_seconds:
                break  # the next layouts have more micro-batches, so their compute is no shorter
            if (
                time.total < best_seconds
                and memory_of(shape, layout).total <= MEMORY_SHARE * gpu.memory_bytes
            ):
                best, best_seconds = layout, time.total
    return best


def _degrees(shape: ModelShape, gpus: int) -> Iterator[Layout]:
    """Yield every combination of degrees on at most this many GPUs, with one micro-batch.

    The data degree of all is 1; `_with_batches` varies it.
    """
    for tensor in (1, 2, 4, 8):
        for pipeline in (1, 2, 4, 8, 16, 32, 64):
            if tensor * pipeline > gpus or pipeline > shape.layers or shape.heads % tensor:
                continue
            for groups in (1, 2, 4, 8) if pipeline > 1 else (1,):
                if groups * pipeline > shape.layers:
                    continue
                for micro_batch in (1, 2, 4, 8):
                    for recompute in (0.0, 0.25, 0.5, 1.0):
                        degrees = Degrees(1, 1, 1, tensor, pipeline, groups, recompute)
                        yield Layout(degrees, micro_batch, 1)


def _with_batches(base: Layout, sequences: int, gpus: int, sharded: bool) -> Iterator[Layout]:
    """Yield the layout with every data degree that suits the batch, the largest first."""
    room = gpus // base.degrees.processes
    last = 0
    for micro_batches in range(1, sequences // base.micro_batch + 1):
        data = math.ceil(sequences / (base.micro_batch * micro_batches))
        if data <= room and data != last:
            last = data
            replicas, shards = (1, data) if sharded else (data, 1)
            degrees = replace(base.degrees, replicate=replicas, shard=shards)
            yield Layout(degrees, base.micro_batch, micro_batches)
