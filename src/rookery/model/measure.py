"""Measuring this machine: which scale does it train in so many minutes?

A few real pieces of training are timed at the shape that the answer would have; the answer and its
shape are found together. Run once, before a run is named: the scale is what gets recorded, never the
minutes. Not here: predicting machines that are not at hand (`fleet`).
"""

import math
import statistics
from collections.abc import Callable

import numpy as np

from rookery.core.context import Clock, SystemClock
from rookery.core.errors import UsageError
from rookery.model import compiler
from rookery.model.batches import Rows, Step
from rookery.model.config import TrainConfig, config_for_scale
from rookery.model.parallel.processes import alone
from rookery.model.run import Run

FIRST_GUESS = 0.015  # petaFLOP a minute, of two cores with bfloat16
ROUNDS = 8
TIMED_PIECES = 10  # a second or more: a processor does not keep the speed of its first moments
DOCUMENT_TOKENS = 40  # a short post


def scale_for_minutes(
    minutes: float, clock: Clock = SystemClock(), planned: Callable[[float], TrainConfig] = config_for_scale
) -> float:
    """The scale, to two significant digits, whose training takes about so many minutes here.

    planned: the run of a scale. Takes some seconds, and up to a minute where layers are compiled. Raises `UsageError`
    unless the minutes are positive and finite.
    """
    if not (math.isfinite(minutes) and minutes > 0):
        raise UsageError(f"--minutes must be a positive number, not {minutes}")
    known: dict[object, float] = {}

    def predicted_seconds(scale: float) -> float:
        config = planned(scale)
        kind = (config.shape, config.batch_tokens, compiler.pays(config, alone()))
        if kind not in known:
            known[kind] = seconds_per_step(config, clock)
        return known[kind] * config.steps

    return nearest_scale(minutes * 60, FIRST_GUESS * minutes, predicted_seconds)


def nearest_scale(wanted_seconds: float, first: float, predicted_seconds: Callable[[float], float]) -> float:
    """The scale, to two digits, of those tried from `first` on whose predicted time comes nearest to the wanted.

    The time leaps where the shape changes, so a step by proportion may land on the other side, again
    and again: then the middle of the closest two sides is tried.
    """
    tried: dict[float, float] = {}
    scale = two_digits(first)
    while scale not in tried and len(tried) < ROUNDS:
        tried[scale] = predicted_seconds(scale)
        below = max((s for s, seconds in tried.items() if seconds <= wanted_seconds), default=0.0)
        above = min((s for s, seconds in tried.items() if seconds > wanted_seconds), default=math.inf)
        scale = two_digits(scale * wanted_seconds / tried[scale])
        if scale in tried and 0 < below < above < math.inf:
            scale = two_digits(math.sqrt(below * above))
    return min(tried, key=lambda s: abs(math.log(tried[s] / wanted_seconds)))


def two_digits(scale: float) -> float:
    """Rounded to what a person can repeat."""
    return float(f"{scale:.2g}")


def seconds_per_step(config: TrainConfig, clock: Clock) -> float:
    """Seconds of one training step: its micro-batches, timed on made-up tokens, and one optimizer step."""
    run, rows = Run.begin(config), made_up_rows(config)
    run.learn(Step((rows,), rows.inputs.size), 1.0)
    pieces, updates = [], []
    for _ in range(TIMED_PIECES):
        began = clock.monotonic_seconds()
        run.loss(rows).backward()
        learned = clock.monotonic_seconds()
        run.optimizer.step(0.0)
        pieces.append(learned - began)
        updates.append(clock.monotonic_seconds() - learned)
    share = config.batch_tokens / rows.inputs.size
    return statistics.median(pieces) * share + statistics.median(updates)


def made_up_rows(config: TrainConfig) -> Rows:
    """A micro-batch of random tokens in half rows, packed with short documents."""
    row_tokens = config.shape.context_tokens // 2
    rows = max(1, min(config.micro_batch_tokens, config.batch_tokens) // row_tokens)
    tokens = np.random.default_rng(0).integers(config.shape.vocabulary, size=(rows, row_tokens))
    numbers = np.broadcast_to(np.arange(row_tokens) // DOCUMENT_TOKENS, tokens.shape)
    return Rows(tokens, tokens.copy(), numbers.astype(np.int64))
