"""The configuration of a training run: every number of it, and the rules that derive them all.

The one dial is compute in petaFLOP, the scale (docs/decisions/0001); shape, batch, steps and rates
follow from it. This module does not import torch, so that the planner and `--help` may read it. The
loop that spends the compute is in `train.py`.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from rookery.core.config import from_plain
from rookery.core.errors import UsageError
from rookery.model.shape import (
    ModelShape,
    layer_activation_bytes,
    matrix_parameters,
    training_flops_per_token,
)

PETA = 1e15
WIDTHS = (64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288)
HEAD_SIZE = 64
CONTEXT_TOKENS = 256  # posts are short; longer documents continue in another row
SMALLEST_VOCABULARY, LARGEST_VOCABULARY = 2048, 65_536
TOKENS_PER_PARAMETER = 5.0
SMALLEST_BATCH, FEWEST_STEPS = 2048, 20
BATCH_EXPONENT = 0.571  # of the horizon in tokens
CPU_MICRO_BATCH_TOKENS = 4096
LARGEST_MICRO_BATCH_TOKENS = 32_768  # of a GPU; it waits for its next matmul between small ones
# of a GPU's memory; layers that are not compiled keep nearly twice the predicted bytes
ACTIVATIONS_SHARE = 1 / 3
TUNING_BATCH_TOKENS, FEWEST_TUNING_STEPS = 2048, 5
TUNING_ADAPTER_RATE, TUNING_MATRIX_RATE, TUNING_VECTOR_RATE = 5e-3, 4e-3, 2e-3
LARGEST_SETTING = 1e37  # a rate beyond it overflows float32
# Muon's momentum below and from `LONG_PETAFLOP` on: the first measured up to 0.1 petaFLOP, the
# second that of Muon's author
SHORT_MOMENTUM, LONG_MOMENTUM, LONG_PETAFLOP = 0.9, 0.95, 1.0


@dataclass(frozen=True)
class TrainConfig:
    """The configuration of one training run.

    micro_batch_tokens: how many tokens pass through the network at once; a step adds up the
    gradients of several micro-batches. None: 4,096, or as many as suit a GPU
    (`with_gpu_micro_batches`).
    matrix_learning_rate: Muon's, for the layers' matrices; vector_learning_rate: AdamW's, for
    embedding, output matrix and norms. Both are peaks; the schedule is `learning_rate_factor`.
    checkpoint_steps: the number of steps between two saved states.
    compiled: whether torch.compile compiles the layers; None: where it pays and works
    (`compiler.py`).
    Raises `UsageError` for a number out of range.
    """

    scale_petaflop: float
    shape: ModelShape
    steps: int
    batch_tokens: int
    micro_batch_tokens: int | None = None
    warmup_steps: int = 20
    decay_steps: int = 0
    matrix_learning_rate: float = 0.02
    vector_learning_rate: float = 0.02
    momentum: float = LONG_MOMENTUM
    weight_decay: float = 0.1
    checkpoint_steps: int = 100
    compiled: bool | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        least = dict.fromkeys(
            ("steps", "batch_tokens", "micro_batch_tokens", "checkpoint_steps"), 1
        )
        rates = ("matrix_learning_rate", "vector_learning_rate", "momentum", "weight_decay")
        least |= dict.fromkeys(("warmup_steps", "decay_steps", "seed", *rates), 0)
        if self.micro_batch_tokens is None:
            del least["micro_batch_tokens"]
        for name, smallest in least.items():
            if not smallest <= getattr(self, name) <= LARGEST_SETTING:
                largest = (
                    "" if getattr(self, name) < smallest else f" and at most {LARGEST_SETTING:g}"
                )
                raise UsageError(
                    f"{name} must be at least {smallest}{largest}, not {getattr(self, name)}"
                )
        if self.momentum >= 1:
            raise UsageError(f"momentum must be less than 1, not {self.momentum}")

    @property
    def tokens(self) -> int:
        """Return the horizon: the places for tokens in all steps of the run.

        Packing leaves a few of them empty.
        """
        return self.steps * self.batch_tokens


@dataclass(frozen=True)
class TuneConfig(TrainConfig):
    """The configuration of a run that tunes a finished model.

    lora_rank: the rank of the adapters that learn in the place of the layers' matrices
    (`tuning/lora.py`); 0: all weights learn.
    """

    lora_rank: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.lora_rank <= self.shape.width:
            raise UsageError(
                f"lora_rank must be at least 0 and at most the width ({self.shape.width}), not "
                f"{self.lora_rank}"
            )


def read_config(plain: Mapping[str, Any]) -> TrainConfig:
    """Return the configuration that a manifest holds: of a training run, or of a tuning."""
    return from_plain(TuneConfig if "lora_rank" in plain else TrainConfig, plain)


@dataclass(frozen=True)
class WatchConfig:
    """The thresholds from which a run counts as stalled; both have to be passed.

    steps: time without a finished step, in multiples of the median step. seconds: the same in
    seconds. They are no part of a run's name. Raises `UsageError` unless both are positive. The
    stall detector is in `watchdog.py`.
    """

    steps: int = 20
    seconds: float = 300.0

    def __post_init__(self) -> None:
        if not (self.steps > 0 and math.isfinite(self.seconds) and self.seconds > 0):
            raise UsageError(
                f"watch.steps ({self.steps}) and watch.seconds ({self.seconds}) must be positive"
            )


def with_gpu_micro_batches(config: TrainConfig, memory_bytes: int) -> TrainConfig:
    """Return the config with micro-batches that suit a GPU's memory, unless it sets their size.

    Their size is a power of two tokens, for which the layers keep at most a third of the memory for
    the backward pass; it is one row at least.
    """
    if config.micro_batch_tokens is not None:
        return config
    shape = config.shape
    fitting = ACTIVATIONS_SHARE * memory_bytes / (shape.layers * layer_activation_bytes(shape))
    tokens = min(LARGEST_MICRO_BATCH_TOKENS, 2 ** int(math.log2(max(1, fitting))))
    return replace(config, micro_batch_tokens=max(shape.context_tokens, tokens))


def learning_rate_factor(config: TrainConfig, step: int) -> float:
    """Return the share of the peak learning rate at a step, counted from 0.

    Warmup-stable-decay (arXiv:2404.06395): linear warmup, a plateau, linear decay to zero. A later
    phase rises to the peak at once and decays again (arXiv:2410.05192).
    """
    rising = (step + 1) / (config.warmup_steps + 1)
    falling = (config.steps - step) / (config.decay_steps + 1)
    return min(1.0, rising, falling)


def config_for_scale(scale_petaflop: float) -> TrainConfig:
    """Return the run that makes the best use of a given compute.

    Shape: `shape_for_scale`. Batch: the horizon in tokens to the power 0.571, rounded to the
    nearest power of two; the exponent is that of arXiv:2503.04715, whose batches for AdamW are 0.58
    times as large. Schedule: the second half decays. Muon's momentum: shorter in short runs. The
    sweeps that set these numbers are in LOG.md. Raises `UsageError` unless the scale is positive
    and finite.
    """
    _check(scale_petaflop)
    shape = shape_for_scale(scale_petaflop)
    wanted = horizon_tokens(scale_petaflop, shape) ** BATCH_EXPONENT
    batch_tokens = max(SMALLEST_BATCH, 2 ** round(math.log2(wanted)))
    momentum = SHORT_MOMENTUM if scale_petaflop < LONG_PETAFLOP else LONG_MOMENTUM
    return _spending_all(
        TrainConfig(scale_petaflop, shape, FEWEST_STEPS, batch_tokens, momentum=momentum)
    )


def config_for_phase(earlier: TrainConfig, scale_petaflop: float) -> TrainConfig:
    """Return the run that continues an earlier one with this much more compute.

    Shape, batch and learning rates stay; there is no warmup, since it gains nothing (LOG.md); the
    documents come in another order. Raises `UsageError` unless the scale is positive and finite.
    """
    _check(scale_petaflop)
    return _spending_all(
        replace(earlier, scale_petaflop=scale_petaflop, warmup_steps=0, seed=earlier.seed + 1)
    )


def _check(scale_petaflop: float) -> None:
    if not (math.isfinite(scale_petaflop) and scale_petaflop > 0):
        raise UsageError(f"the scale must be a positive number of petaFLOP, not {scale_petaflop}")


def _spending_all(config: TrainConfig) -> TrainConfig:
    """Return the config with as many steps as its scale pays for."""
    steps = max(
        FEWEST_STEPS,
        round(horizon_tokens(config.scale_petaflop, config.shape) / config.batch_tokens),
    )
    return with_steps(config, steps)


def config_for_tuning(shape: ModelShape, tokens: float, lora_rank: int) -> TuneConfig:
    """Return the run that tunes a model of some shape on this many places for tokens.

    Adapters learn at ten times the rate of whole matrices, since they begin at zero. The rates and
    the batch are those that were best on two models (LOG.md). Raises `UsageError` unless the
    tokens are positive.
    """
    if not (math.isfinite(tokens) and tokens >= 1):
        raise UsageError(f"a model is tuned on at least one token, not {tokens}")
    batch_tokens = max(shape.context_tokens, TUNING_BATCH_TOKENS)
    steps = max(FEWEST_TUNING_STEPS, round(tokens / batch_tokens))
    config = TuneConfig(
        scale_petaflop=training_flops_per_token(shape) * steps * batch_tokens / PETA,
        shape=shape,
        steps=steps,
        batch_tokens=batch_tokens,
        matrix_learning_rate=TUNING_MATRIX_RATE,
        vector_learning_rate=TUNING_ADAPTER_RATE if lora_rank else TUNING_VECTOR_RATE,
        weight_decay=0.0,
        lora_rank=lora_rank,
    )
    return with_steps(config, steps)


Config = TypeVar("Config", bound=TrainConfig)


def with_steps(config: Config, steps: int) -> Config:
    """Return the config with this number of steps and all that follows from it.

    Those are the warmup, the decay, and how often a state is saved.
    """
    is_tuning = isinstance(config, TuneConfig)  # it decays from its warmup on
    return replace(
        config,
        steps=steps,
        warmup_steps=steps // 10 if is_tuning else min(config.warmup_steps, steps // 10),
        decay_steps=steps - steps // 10 if is_tuning else steps // 2,
        checkpoint_steps=max(5, min(200, steps // 20)),
    )


def horizon_tokens(scale_petaflop: float, shape: ModelShape) -> float:
    """Return how many tokens a model of this shape can be trained on with this compute."""
    return scale_petaflop * PETA / training_flops_per_token(shape)


def shape_for_scale(scale_petaflop: float) -> ModelShape:
    """Return the shape that sees closest to `TOKENS_PER_PARAMETER` tokens per matrix parameter.

    The vocabulary grows fourfold for each thousandfold of compute: with a larger one, each token
    costs more and carries more text. The output matrix is not tied to the embedding: as much
    compute, and fewer bits (LOG.md).
    """
    wanted = 4096 * 2 ** (round(math.log(scale_petaflop / 0.1, 1000) * 2))
    vocabulary = min(LARGEST_VOCABULARY, max(SMALLEST_VOCABULARY, int(wanted)))

    def distance(shape: ModelShape) -> float:
        share = horizon_tokens(scale_petaflop, shape) / matrix_parameters(shape)
        return abs(math.log(share / TOKENS_PER_PARAMETER))

    return min((_shape(vocabulary, width, layers) for width, layers in _sizes()), key=distance)


def _sizes() -> Iterator[tuple[int, int]]:
    """Yield widths with their depths: one layer for every 64 of width, up to half as many again."""
    for width in WIDTHS:
        yield from ((width, layers) for layers in range(width // 64, width * 3 // 128 + 1))


def _shape(vocabulary: int, width: int, layers: int) -> ModelShape:
    heads = width // HEAD_SIZE
    shared = next(n for n in range(max(1, min(8, heads // 2)), 0, -1) if heads % n == 0)
    return ModelShape(
        vocabulary=vocabulary,
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=shared,
        head_size=HEAD_SIZE,
        hidden=math.ceil(width * 8 / 3 / 64) * 64,
        context_tokens=CONTEXT_TOKENS,
        tied=False,
    )
