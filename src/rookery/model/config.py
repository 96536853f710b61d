"""How a model is trained: every number of a run, and the rules that give them all from one dial.

Free of torch, so that the planner and `--help` may read it. The dial is compute in petaFLOP
(docs/decisions/0001); the loop that spends it is in `train.py`.
"""

import math
from dataclasses import dataclass

from rookery.core.errors import UsageError
from rookery.model.shape import ModelShape, training_flops_per_token

PETA = 1e15


@dataclass(frozen=True)
class TrainConfig:
    """One training run. Learning rates are peaks; the schedule is `learning_rate_factor`.

    micro_batch_tokens: how many tokens go through the network at once; a step adds up several.
    matrix_learning_rate: Muon's, for the layers' matrices; vector_learning_rate: AdamW's, for
    embedding and norms. checkpoint_steps: after how many steps the state is saved.
    """

    scale_petaflop: float
    shape: ModelShape
    steps: int
    batch_tokens: int
    micro_batch_tokens: int = 4096
    warmup_steps: int = 20
    decay_steps: int = 0
    matrix_learning_rate: float = 0.02
    vector_learning_rate: float = 0.005
    momentum: float = 0.95
    weight_decay: float = 0.1
    checkpoint_steps: int = 100
    seed: int = 0

    @property
    def tokens(self) -> int:
        """The horizon: places for tokens that the whole run looks at, a few of which packing leaves empty."""
        return self.steps * self.batch_tokens


def learning_rate_factor(config: TrainConfig, step: int) -> float:
    """The share of the peak learning rate at a step: linear warmup, a plateau, linear decay to zero.

    Warmup-stable-decay (arXiv:2405.18392): the plateau may be lengthened as posts arrive.
    """
    rising = (step + 1) / (config.warmup_steps + 1)
    falling = (config.steps - step) / (config.decay_steps + 1)
    return min(1.0, rising, falling)


def config_for_scale(scale_petaflop: float) -> TrainConfig:
    """The run that spends a compute well; raises `UsageError` unless the scale is positive and finite."""
    if not (math.isfinite(scale_petaflop) and scale_petaflop > 0):
        raise UsageError(f"the scale must be a positive number of petaFLOP, not {scale_petaflop}")
    shape = shape_for_scale(scale_petaflop)
    tokens = scale_petaflop * PETA / training_flops_per_token(shape)
    batch_tokens = 8192
    steps = max(10, round(tokens / batch_tokens))
    return TrainConfig(
        scale_petaflop=scale_petaflop,
        shape=shape,
        steps=steps,
        batch_tokens=batch_tokens,
        warmup_steps=min(20, steps // 10),
        decay_steps=steps // 2,
        checkpoint_steps=max(10, min(100, steps // 10)),
    )


def shape_for_scale(scale_petaflop: float) -> ModelShape:
    """Width and depth grow together."""
    return ModelShape(
        vocabulary=4096, width=256, layers=6, heads=4, kv_heads=4, head_size=64, hidden=704, context_tokens=256
    )
