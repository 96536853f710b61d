"""Measure training speed on this machine beside Hugging Face's `Trainer` and litgpt.

    python benchmarks/bench_train.py --peer-python peers/bin/python

All have the same shape, batch and precision. Each side is a process of its own, one after the other
in each round, on the same random tokens in full rows; `peer_trainers.py` describes the peers'
environment. The first steps, which compile and warm up, are shown apart. The share counts
multiplications only (six for each matrix parameter and token, and attention) over this machine's
own rate of large bf16 matmuls. Others work on the same processors and halve that rate for seconds
or minutes at a time, so the quickest moment of each side and of the rate counts; the median is
shown too.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from process import progress
from record import bf16_unit, table, write_result

from rookery.core.config import to_plain
from rookery.core.context import Context, SystemClock
from rookery.model.config import TrainConfig
from rookery.model.data.batches import Rows, Step
from rookery.model.parallel.processes import single_process
from rookery.model.shape import ModelShape, parameters, training_flops_per_token
from rookery.model.training.rate import matrix_flops_per_second
from rookery.model.training.run import Run
from rookery.model.training.states import States

PEER = Path(__file__).with_name("peer_trainers.py")
SHAPES = {
    "5M": ModelShape(8192, 256, 5, 4, 2, 64, 704, 256),
    "30M": ModelShape(8192, 512, 8, 8, 4, 64, 1408, 256),
}
ROWS, MICRO_BATCHES = 16, 2
FIRST_STEPS = 2
OURS = ("rookery", "rookery compiled")
PEERS = {
    "Trainer, bf16": ("trainer", "bf16-mixed"),
    "Trainer, bf16 weights": ("trainer", "bf16-true"),
    "litgpt, bf16-mixed": ("litgpt", "bf16-mixed"),
    "litgpt, bf16-true": ("litgpt", "bf16-true"),
}
BAR_RATIO, BAR_SHARE = 2.0, 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument(
        "--ours", nargs=2, metavar=("SIDE", "SHAPE"), help="run one of our sides, as a round does"
    )
    arguments = parser.parse_args()
    if arguments.ours:
        side, shape = arguments.ours
        print(json.dumps(our_steps(SHAPES[shape], side == OURS[1], arguments.steps)))
        return
    if arguments.peer_python is None:
        parser.error("name the peers' interpreter with --peer-python")
    seconds, blocked, rate, versions = measured(
        arguments.peer_python, arguments.rounds, arguments.steps
    )
    body = described(seconds, blocked, rate) + f"\nThe peers: {', '.join(sorted(versions))}.\n"
    print(
        write_result(
            f"train_{bf16_unit()}", "Training speed beside two trainers", ["torch"], body
        ).read_text()
    )


def our_steps(shape: ModelShape, compiled: bool, steps: int) -> dict[str, Any]:
    """Return the seconds of each step of the product's own loop.

    Also return for how many seconds saving the state blocks training.
    """
    began = time.monotonic()
    tokens = ROWS * shape.context_tokens
    run = Run.begin(
        TrainConfig(0.0, shape, steps, tokens * MICRO_BATCHES, tokens, compiled=compiled)
    )
    inputs = np.random.default_rng(0).integers(
        shape.vocabulary, size=(ROWS, shape.context_tokens + 1)
    )
    rows = Rows(
        inputs[:, :-1].copy(),
        inputs[:, 1:].copy(),
        np.zeros((ROWS, shape.context_tokens), dtype=np.int64),
    )
    step = Step((rows,) * MICRO_BATCHES, tokens * MICRO_BATCHES)
    moments = [began]
    for _ in range(steps):
        run.learn(step, 0.1)
        moments.append(time.monotonic())
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(
            States(Path(folder), single_process(), SystemClock(), Context().progress)
        ) as states,
    ):
        states.save(1, run.optimizer.state())  # the first makes threads and buffers
        states.wait()
        blocked = states.save(2, run.optimizer.state())
    return {
        "seconds": [after - before for before, after in itertools.pairwise(moments)],
        "blocked": blocked,
    }


Seconds = dict[tuple[str, str], list[list[float]]]
Blocked = dict[tuple[str, str], list[float]]


def measured(
    peer_python: Path, rounds: int, steps: int
) -> tuple[Seconds, Blocked, float, set[str]]:
    """Return the figures of each side and shape in each round, the peers' versions, and the rate.

    The rate is a limit, so it is measured before each side and the best counts: one measurement may
    fall into a moment when others are at work.
    """
    seconds: Seconds = {(shape, side): [] for shape in SHAPES for side in (*OURS, *PEERS)}
    blocked: Blocked = {key: [] for key in seconds if key[1] in OURS}
    rate, versions = 0.0, set()
    for number in range(rounds):
        for shape, side in seconds:
            rate = max(rate, matrix_flops_per_second(torch.device("cpu"), torch.bfloat16))
            progress(f"round {number + 1} of {rounds}: {side} at {shape}")
            printed = steps_of(side, shape, peer_python, steps)
            seconds[shape, side].append(printed["seconds"])
            if side in OURS:
                blocked[shape, side].append(printed["blocked"])
            else:
                versions.add(printed["version"])
    return seconds, blocked, rate, versions


def steps_of(side: str, shape: str, peer_python: Path, steps: int) -> dict[str, Any]:
    """Return what one side prints about its steps in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "shape.json"
        file.write_text(json.dumps(to_plain(SHAPES[shape])))
        if side in OURS:
            command = [sys.executable, __file__, "--ours", side, shape, "--steps", str(steps)]
        else:
            peer, precision = PEERS[side]
            sizes = [
                "--micro-rows",
                str(ROWS),
                "--micro-batches",
                str(MICRO_BATCHES),
                "--steps",
                str(steps),
            ]
            command = [
                str(peer_python),
                str(PEER),
                peer,
                str(file),
                "--precision",
                precision,
                *sizes,
            ]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    return json.loads(done.stdout.splitlines()[-1])


def described(seconds: Seconds, blocked: Blocked, rate: float) -> str:
    """Return the text of the result: a row per shape and side, and whether the bars are met."""
    steps = {
        key: list(itertools.chain(*(run[FIRST_STEPS:] for run in runs)))
        for key, runs in seconds.items()
    }
    quickest = {key: min(taken) for key, taken in steps.items()}
    best = {name: min(quickest[name, side] for side in OURS) for name in SHAPES}
    peer = {name: min(quickest[name, side] for side in PEERS) for name in SHAPES}
    lines = []
    for (name, side), step in quickest.items():
        first = statistics.median(run[0] for run in seconds[name, side])
        usual = tokens_per_second(name, statistics.median(steps[name, side]))
        speed, share = tokens_per_second(name, step), share_of(name, step, rate)
        slower = f"{step / best[name]:.2f}"
        held_up = f"{statistics.median(blocked[name, side]):.3f}" if side in OURS else ""
        lines.append(
            [
                name,
                side,
                f"{speed:,.0f}",
                f"{usual:,.0f}",
                f"{share:.0%}",
                slower,
                f"{first:.1f}",
                held_up,
            ]
        )
    ratios = {name: peer[name] / best[name] for name in SHAPES}
    share = share_of("30M", best["30M"], rate)
    sides = ", ".join(
        f"{ratio:.2f} times the faster peer at {name}" for name, ratio in ratios.items()
    )
    head = (
        f"Large bf16 products (2,048), the best of all looks: {rate / 1e9:,.0f} GFLOP/s. Ours: "
        f"{sides}; "
        f"bar {BAR_RATIO:g}: {_met(min(ratios.values()) >= BAR_RATIO)}. "
        f"Share of that rate at 30M: {share:.0%}; bar {BAR_SHARE:.0%}: "
        f"{_met(share >= BAR_SHARE)}.\n\n"
    )
    sizes = ", ".join(f"{name}: {parameters(shape):,} parameters" for name, shape in SHAPES.items())
    columns = [
        "size",
        "side",
        "tokens/s",
        "median tokens/s",
        "share of the rate",
        "time over our best",
        "first step s",
        "held up by a save s",
    ]
    return (
        head
        + table(columns, lines)
        + f"\n{sizes}; a step is {MICRO_BATCHES} micro-batches of {ROWS} rows of 256.\n"
    )


def tokens_per_second(name: str, step_seconds: float) -> float:
    """Return the tokens per second of a shape whose step takes this long."""
    return ROWS * MICRO_BATCHES * SHAPES[name].context_tokens / step_seconds


def share_of(name: str, step_seconds: float, rate: float) -> float:
    """Return the FLOP of a second of training over those that the machine can do in a second."""
    return tokens_per_second(name, step_seconds) * training_flops_per_token(SHAPES[name]) / rate


def _met(is_met: bool) -> str:
    return "met" if is_met else "NOT met"


if __name__ == "__main__":
    main()
