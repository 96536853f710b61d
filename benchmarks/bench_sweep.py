"""Measure whether the defaults of a scale are well chosen: change one at the same compute.

    python benchmarks/bench_sweep.py --data tweets.parquet --scale 0.034 --work FOLDER

Each row is a run of `rookery model train` on the corpus of `later_tweets.py`; runs go in parallel,
one thread each, since compute is compared and not time. They are evaluated on the first of the
later tweets; the confidence interval of the difference to the defaults resamples authors
(`estimate.py`). One row shows how much another seed changes. Started again with the same `--work`
it continues.
"""

import argparse
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from bench_model import later_texts
from bench_precision import shards_of
from later_tweets import later_tweets
from process import opened_home, progress, rookery
from record import table, write_result

from rookery.core.artifact import Artifact, find_artifacts
from rookery.core.context import Context
from rookery.core.home import Home
from rookery.model.checkpoint import load_network
from rookery.model.config import TrainConfig, config_for_scale, horizon_tokens
from rookery.model.evaluation.bits import text_bits
from rookery.model.evaluation.estimate import MODEL, ScoredTexts, summarize
from rookery.model.tokenizer import load_tokenizer
from rookery.model.training.run import best_precision

JUDGED = 6_000
DEFAULTS = "the defaults"

Settings = Mapping[str, object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=0.034)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument(
        "--only", nargs="*", help="run only changes whose name holds one of these words"
    )
    parser.add_argument("--theme", default="sweep")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # for the runs; this process only evaluates
    torch.set_num_threads(1)
    home = opened_home(arguments.work)
    judged = later_texts(later_tweets(home, arguments.data, Context()))[:JUDGED]
    config = config_for_scale(arguments.scale)
    shards_of(home, arguments.data, config)  # made once, before runs go side by side
    chosen = {name: made for name, made in changes(config).items() if wanted(name, arguments.only)}
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        costs = dict(
            zip(
                chosen,
                pool.map(lambda made: bits_of(home, config, made, judged), chosen.values()),
                strict=True,
            )
        )
    text = body(config, judged, costs)
    print(
        write_result(arguments.theme, "One default changed at a time", ["torch"], text).read_text()
    )


def wanted(name: str, words: list[str] | None) -> bool:
    return name == DEFAULTS or words is None or any(word in name for word in words)


def changes(config: TrainConfig) -> dict[str, Settings]:
    """Return the settings of each change, by its name.

    Other shapes and batches take as much compute as the defaults.
    """
    shape = config.shape
    made: dict[str, Settings] = {DEFAULTS: {}, "another seed": {"seed": 1}}
    for factor in (0.7, 1.4):
        made[f"Muon's rate × {factor:g}"] = {
            "matrix_learning_rate": config.matrix_learning_rate * factor
        }
    for factor in (0.5, 2):
        made[f"AdamW's rate × {factor:g}"] = {
            "vector_learning_rate": config.vector_learning_rate * factor
        }
    for share in (0.25, 0.8):
        made[f"{share:.0%} of the steps decay"] = {"decay_steps": round(config.steps * share)}
    made |= {"momentum .9": {"momentum": 0.9}, "momentum .95": {"momentum": 0.95}}
    made["no weight decay"] = {"weight_decay": 0.0}
    for factor in (0.5, 2):
        batch = int(config.batch_tokens * factor)
        made[f"batches × {factor:g}"] = spending_all(
            replace(config, batch_tokens=batch), {"batch_tokens": batch}
        )
    shapes = {
        "twice the vocabulary": {"vocabulary": shape.vocabulary * 2},
        "half the vocabulary": {"vocabulary": shape.vocabulary // 2},
        "one layer more": {"layers": shape.layers + 1},
        "heads of 32": {"head_size": 32, "heads": 2 * shape.heads, "kv_heads": 2 * shape.kv_heads},
        "a tied head": {"tied": True},
    }
    for name, sizes in shapes.items():
        settings = {f"shape.{size}": value for size, value in sizes.items()}
        made[name] = spending_all(replace(config, shape=replace(shape, **sizes)), settings)
    return made


def spending_all(config: TrainConfig, settings: Settings) -> Settings:
    """Return the settings with all the steps that the scale pays for, half of them decaying."""
    steps = round(horizon_tokens(config.scale_petaflop, config.shape) / config.batch_tokens)
    return {**settings, "steps": steps, "decay_steps": steps // 2}


def bits_of(
    home: Home, config: TrainConfig, settings: Settings, judged: list[tuple[str, str]]
) -> np.ndarray:
    """Return the bits of each evaluated text after a run with these settings."""
    words = [f"--set={name}={str(value).lower()}" for name, value in settings.items()]
    progress(" ".join(words) or DEFAULTS)
    made = rookery(home.path, "model", "train", "--scale", config.scale_petaflop, *words).output
    return judge(
        next(c for c in find_artifacts(home.artifacts, "checkpoint") if c.key == made["key"]),
        judged,
    )


def judge(checkpoint: Artifact, judged: list[tuple[str, str]]) -> np.ndarray:
    precision = best_precision(torch.device("cpu"))
    return text_bits(
        load_network(checkpoint, precision),
        load_tokenizer(checkpoint),
        [text for text, _ in judged],
    )


def body(
    config: TrainConfig, judged: list[tuple[str, str]], costs: Mapping[str, np.ndarray]
) -> str:
    sizes = np.array([len(text.encode()) for text, _ in judged])
    authors = np.array([author for _, author in judged])
    rows = []
    for name, bits in costs.items():
        found = summarize(ScoredTexts(sizes, authors, {MODEL: bits, DEFAULTS: costs[DEFAULTS]}))
        more = (
            ""
            if name == DEFAULTS
            else "{:+.4f} ({:+.4f} to {:+.4f})".format(*found["model_less"][DEFAULTS])
        )
        rows.append([name, f"{found['bits_per_byte'][MODEL]:.4f}", more])
    shape = config.shape
    return (
        f"{config.scale_petaflop:g} petaFLOP each: vocabulary {shape.vocabulary:,}, "
        f"{shape.layers} layers of "
        f"{shape.width}, {config.steps:,} steps of {config.batch_tokens:,} tokens; "
        f"{len(judged):,} later tweets.\n\n"
        + table(["changed", "bits per byte", "more than the defaults (95%)"], rows)
    )


if __name__ == "__main__":
    main()
