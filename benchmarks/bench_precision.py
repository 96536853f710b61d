"""Measure what training in bfloat16 costs in quality: its losses beside those in float32.

    python benchmarks/bench_precision.py --data tweets.parquet --scale 0.01 --work FOLDER

Both take the same batches, seeds and schedule in the product's own steps (`model/training/run.py`),
on the corpus of `later_tweets.py`. The optimizer's master weights are float32 in both; what differs
is the precision of weights, activations and gradients. A third curve shows how much another seed
changes.
"""

import argparse
import statistics
from dataclasses import replace
from pathlib import Path

import torch
from later_tweets import later_tweets
from process import opened_home, progress
from record import table, write_result

from rookery.core.artifact import Artifact
from rookery.core.context import Context
from rookery.core.home import Home
from rookery.corpus.shards import open_shards, write_shards
from rookery.model.config import TrainConfig, config_for_scale, learning_rate_factor
from rookery.model.data.batches import batches
from rookery.model.tokenizer import load_tokenizer, train_tokenizer
from rookery.model.training.run import Run

POINTS = 10  # points per curve; each is the mean of equally many steps
SIDES = {
    "float32": (torch.float32, 0),
    "bfloat16": (torch.bfloat16, 0),
    "bfloat16, another seed": (torch.bfloat16, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=0.01)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    home = opened_home(arguments.work)
    config = config_for_scale(arguments.scale)
    shards = shards_of(home, arguments.data, config)
    curves = {}
    for name, (precision, seed) in SIDES.items():
        progress(name)
        curves[name] = losses(shards, replace(config, seed=seed), precision)
    print(
        write_result(
            "precision", "Losses in bfloat16 and in float32", ["torch"], body(config, curves)
        ).read_text()
    )


def shards_of(home: Home, data: Path, config: TrainConfig) -> Artifact:
    corpus = later_tweets(home, data, Context())
    tokenizer = train_tokenizer(home, corpus, Context(), config.shape.vocabulary)
    return write_shards(home, corpus, load_tokenizer(tokenizer), Context())


def losses(shards: Artifact, config: TrainConfig, precision: torch.dtype) -> list[float]:
    """Return the loss of each step, in nats per token."""
    run, made = Run.begin(config, precision=precision), []
    steps = batches(open_shards(shards, "train"), config, lambda documents: documents < 0)
    for number, step in zip(range(config.steps), steps, strict=False):
        made.append(run.learn(step, learning_rate_factor(config, number)))
    return made


def body(config: TrainConfig, curves: dict[str, list[float]]) -> str:
    shape, piece = config.shape, config.steps // POINTS
    rows = []
    for point in range(1, POINTS + 1):
        means = [
            statistics.fmean(curve[(point - 1) * piece : point * piece])
            for curve in curves.values()
        ]
        rows.append(
            [f"{(point - 1) * piece + 1} to {point * piece}", *(f"{mean:.4f}" for mean in means)]
        )
    return (
        f"{config.scale_petaflop:g} petaFLOP: vocabulary {shape.vocabulary:,}, {shape.layers} "
        f"layers of {shape.width}, "
        f"{config.steps:,} steps of {config.batch_tokens:,} tokens. Mean training loss in nats a "
        f"token.\n\n" + table(["steps", *curves], rows)
    )


if __name__ == "__main__":
    main()
