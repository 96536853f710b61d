"""Degrees of parallelism: over how many processes a run is spread, and in which ways.

They are no part of a run's name: the same run may continue with other degrees. This module does not
import torch, so that the planner and the command line may read it. What each degree does is in
`parallel/`; which degrees suit a cluster is decided by `fleet/planning/layout.py`.
"""

import math
from dataclasses import dataclass, replace

from rookery.core.errors import UsageError
from rookery.model.config import CPU_MICRO_BATCH_TOKENS, TrainConfig
from rookery.model.shape import ModelShape


@dataclass(frozen=True)
class Degrees:
    """The degrees of a run; the product of those up to `pipeline` is the number of processes.

    replicate: copies of the weights, each learning from its share of a step (HSDP's outer degree).
    shard: processes over which one copy's weights are sharded (FSDP); None takes all that are left.
    context: processes that share the tokens of each row.
    tensor: processes that share the columns and rows of each matrix, and between the matrices the
    tokens.
    pipeline: processes that hold the layers one after another, each of them `groups_per_stage`
    groups of layers (more than one: interleaved 1F1B).
    recompute: the share of layers that keep only their input for the backward pass, which computes
    the rest again.
    offload: whether the optimizer's state lies in the machine's memory and not in the device's.
    """

    replicate: int = 1
    shard: int | None = None
    context: int = 1
    tensor: int = 1
    pipeline: int = 1
    groups_per_stage: int = 1
    recompute: float = 0.0
    offload: bool = False

    @property
    def data(self) -> int:
        """Return how many shares a step's documents are cut into."""
        return self.replicate * (self.shard or 1)

    @property
    def processes(self) -> int:
        """Return the number of processes of the run."""
        return self.data * self.context * self.tensor * self.pipeline

    @property
    def stages(self) -> int:
        """Return the number of groups of layers, over all processes of the pipeline."""
        return self.pipeline * self.groups_per_stage


def resolve_degrees(degrees: Degrees, processes: int) -> Degrees:
    """Return the degrees with `shard` filled in.

    Raises `UsageError` unless their product is the number of processes.
    """
    if not 0 <= degrees.recompute <= 1:
        raise UsageError(
            f"parallel.recompute is a share of the layers, from 0 to 1, not {degrees.recompute}"
        )
    for name in ("replicate", "context", "tensor", "pipeline", "groups_per_stage"):
        if getattr(degrees, name) < 1:
            raise UsageError(f"parallel.{name} must be at least 1, not {getattr(degrees, name)}")
    others = replace(degrees, shard=1).processes
    if degrees.shard is None and processes % others == 0:
        degrees = replace(degrees, shard=processes // others)
    if degrees.shard is None or degrees.shard < 1 or degrees.processes != processes:
        named = ("replicate", "shard", "context", "tensor", "pipeline")
        product = " × ".join(f"{name} {getattr(degrees, name) or '?'}" for name in named)
        raise UsageError(
            f"the degrees of parallelism ({product}) do not multiply to {processes} processes",
            hint="Change --processes, or the degrees with --set parallel.NAME=N",
        )
    return degrees


def check_fits(degrees: Degrees, config: TrainConfig) -> None:
    """Raise `UsageError` for the first degree that does not divide the model or its batch."""
    shape = config.shape
    units = units_per_step(config)
    half_row = math.gcd(shape.context_tokens, max(1, shape.context_tokens // 2))
    if config.batch_tokens % shape.context_tokens:
        raise UsageError(
            f"a step of {config.batch_tokens} tokens is not a whole number of rows of "
            f"{shape.context_tokens}",
            hint=f"Set batch_tokens={units * shape.context_tokens}",
        )
    divided = math.gcd(shape.heads, shape.kv_heads, shape.hidden, shape.vocabulary)
    if divided % degrees.tensor:
        raise UsageError(
            f"parallel.tensor must divide {divided}, not be {degrees.tensor}",
            hint=f"It has to divide the heads ({shape.heads}), the key-value heads "
            f"({shape.kv_heads}), the SwiGLU's inner size ({shape.hidden}) and the vocabulary "
            f"({shape.vocabulary}): a larger --scale has more of them",
        )
    if half_row % degrees.context:
        raise UsageError(
            f"parallel.context must divide {half_row}, not be {degrees.context}",
            hint="It has to divide a row and half a row of tokens",
        )
    if half_row % (together := degrees.context * degrees.tensor):
        raise UsageError(
            f"parallel.context × parallel.tensor must divide {half_row}, not be {together}",
            hint="Together they have to divide a row and half a row of tokens",
        )
    if degrees.stages > shape.layers:
        raise UsageError(
            f"{shape.layers} layers cannot be spread over {degrees.stages} pipeline stages",
            hint="Lower parallel.pipeline or parallel.groups_per_stage",
        )
    if degrees.groups_per_stage > 1 and degrees.pipeline == 1:
        raise UsageError("parallel.groups_per_stage needs parallel.pipeline of at least 2")
    if degrees.data > units:
        raise UsageError(
            f"a step of {config.batch_tokens} tokens is {units} rows of {shape.context_tokens}: "
            f"too few for {degrees.data} shares",
            hint="Raise batch_tokens with --set, or lower parallel.replicate and parallel.shard",
        )


def units_per_step(config: TrainConfig) -> int:
    """Return how many units of `context_tokens` places a step has."""
    return max(1, config.batch_tokens // config.shape.context_tokens)


def units_per_micro_batch(config: TrainConfig) -> int:
    """Return how many units pass through the network together."""
    return max(
        1, (config.micro_batch_tokens or CPU_MICRO_BATCH_TOKENS) // config.shape.context_tokens
    )


def micro_batches(degrees: Degrees, config: TrainConfig) -> int:
    """Return into how many equal micro-batches a pipeline cuts a step.

    As many as it has stages at least, and a multiple of the pipeline's degree, which the
    interleaved schedule asks for.
    """
    rows = rows_a_piece(config, degrees.data, 1)
    wanted = max(degrees.stages, math.ceil(rows / units_per_micro_batch(config)))
    return math.ceil(wanted / degrees.pipeline) * degrees.pipeline


def rows_a_piece(config: TrainConfig, shares: int, pieces: int) -> int:
    """Return the rows in each of some equal pieces of a step's largest share."""
    return math.ceil(math.ceil(units_per_step(config) / shares) / pieces)


def stage_layers(shape: ModelShape, stages: int) -> list[range]:
    """Return the layers of each stage: as even as possible, the first stages have one more."""
    each, more = divmod(shape.layers, stages)
    ends = [each * (n + 1) + min(n + 1, more) for n in range(stages)]
    return [range(begin, end) for begin, end in zip([0, *ends], ends, strict=False)]


def recomputed_layers(layers: int, share: float) -> list[int]:
    """Return the numbers of the layers whose forward pass is computed again, evenly spaced."""
    return [n for n in range(layers) if math.floor((n + 1) * share) > math.floor(n * share)]
