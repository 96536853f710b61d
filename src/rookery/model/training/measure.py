"""Measuring this machine: which scale does it train in a given number of minutes?

A few real steps of training are timed at the shape that the answer would have, by all processes of
the run together; the answer and its shape are found together. This happens once, before a run has
its name: the scale is recorded, never the minutes.

Not here: the time that other machines would take (`fleet`).
"""

import math
import statistics
from collections.abc import Callable, Iterator

import numpy as np

from rookery.core.context import Clock, SystemClock
from rookery.core.errors import UsageError
from rookery.corpus.shards import Shards
from rookery.model.config import TrainConfig, config_for_scale
from rookery.model.data.batches import Step
from rookery.model.degrees import check_fits
from rookery.model.parallel.processes import Processes, single_process
from rookery.model.training import compiler
from rookery.model.training.run import Run
from rookery.model.training.split import Split

FIRST_GUESS = 0.015  # petaFLOP a minute, of two cores with bfloat16
ROUNDS = 8  # scales that are tried at most
TIMED_SECONDS, FEWEST_TIMED = 1.0, 3  # a processor does not keep the speed of its first moments
DOCUMENTS, DOCUMENT_TOKENS = 1 << 13, 40  # short posts


def scale_for_minutes(
    minutes: float,
    clock: Clock = SystemClock(),
    config_of: Callable[[float], TrainConfig] = config_for_scale,
    processes: Processes | None = None,
) -> float:
    """Return the scale (two significant digits) whose training takes so many minutes here.

    config_of: gives the run of a scale. Called in every process of the run alike, each of which
    gets the same answer. Takes some seconds, and up to a minute where layers are compiled. Raises
    `UsageError` unless the minutes are positive and finite, or if the run cannot be spread over the
    processes.
    """
    if not (math.isfinite(minutes) and minutes > 0):
        raise UsageError(f"--minutes must be a positive number, not {minutes}")
    processes = processes or single_process()
    known: dict[object, float] = {}

    def predicted_seconds(scale: float) -> float:
        config = config_of(scale)
        kind = (config.shape, config.batch_tokens, compiler.pays(config, processes))
        if kind not in known:
            known[kind] = seconds_per_step(config, clock, processes)
        return known[kind] * config.steps

    return nearest_scale(minutes * 60, FIRST_GUESS * minutes * processes.count, predicted_seconds)


def nearest_scale(
    wanted_seconds: float, first: float, predicted_seconds: Callable[[float], float]
) -> float:
    """Return the scale, of those tried from `first` on, with the time nearest to the wanted one.

    All scales have two digits. Where the shape changes the time jumps, so that a step by proportion
    may land on the other side of the jump again and again: then the geometric mean of the closest
    scale on each side is tried.
    """
    tried: dict[float, float] = {}
    scale = two_digits(first)
    while scale not in tried and len(tried) < ROUNDS:
        tried[scale] = predicted_seconds(scale)
        below = max((s for s, seconds in tried.items() if seconds <= wanted_seconds), default=0.0)
        above = min(
            (s for s, seconds in tried.items() if seconds > wanted_seconds), default=math.inf
        )
        scale = two_digits(scale * wanted_seconds / tried[scale])
        if scale in tried and 0 < below < above < math.inf:
            scale = two_digits(math.sqrt(below * above))
    return min(tried, key=lambda s: abs(math.log(tried[s] / wanted_seconds)))


def two_digits(scale: float) -> float:
    """Return a scale rounded to two digits, which a person can repeat."""
    return float(f"{scale:.2g}")


def seconds_per_step(
    config: TrainConfig, clock: Clock, processes: Processes | None = None
) -> float:
    """Return the median seconds of a training step on synthetic documents, by the first's clock."""
    processes = processes or single_process()
    check_fits(processes.degrees, config)
    run = Run.begin(config, processes)
    steps = synthetic_steps(run)
    run.learn(next(steps), 1.0)
    began, seconds = clock.monotonic_seconds(), []
    for step in steps:
        before = clock.monotonic_seconds()
        run.learn(step, 0.0)
        seconds.append(clock.monotonic_seconds() - before)
        enough = len(seconds) >= FEWEST_TIMED and clock.monotonic_seconds() - began >= TIMED_SECONDS
        if processes.broadcast(enough):
            break
    return processes.broadcast(statistics.median(seconds))


def synthetic_steps(run: Run) -> Iterator[Step]:
    """Return this process's share of steps over short synthetic documents, without end."""
    return Split(synthetic_shards(run.config)).steps(run)


def synthetic_shards(config: TrainConfig) -> Shards:
    """Return short documents of random tokens."""
    tokens = np.random.default_rng(0).integers(
        config.shape.vocabulary, size=DOCUMENTS * DOCUMENT_TOKENS
    )
    offsets = np.arange(DOCUMENTS + 1) * DOCUMENT_TOKENS
    none = np.zeros(0, dtype=np.uint64)
    return Shards(tokens, offsets, none, none, offsets[:1], config.shape.vocabulary, 0, 0)
