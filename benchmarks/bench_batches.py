"""Measure how fast a process makes its batches, as one of few and as one of many.

    python benchmarks/bench_batches.py --data tweets.parquet --work FOLDER

Every process of a run packs the documents of all, so this bounds how fast all of them together can
train. It packs real posts, in rows as long as `config.py` has them and in long ones, as one process
of 1, 8 and 1,024, in steps of half a million and of four million tokens. Nothing is trained.

Two more figures are measured: how long a run that continues from a position in its second epoch
takes to its first batch; and how long a run takes to ask which of a small step's documents are left
out, where one post was forgotten since it asked last and many were before.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from bench_precision import shards_of
from process import opened_home, progress
from record import table, write_result

from rookery.core.context import SystemClock
from rookery.core.home import create_home
from rookery.corpus.shards import Shards, open_shards
from rookery.model.config import TrainConfig, config_for_scale
from rookery.model.data.batches import Share, batches
from rookery.model.data.masking import DocumentMask
from rookery.posts.live import live_log

SCALE = 0.1
ROW_TOKENS = (256, 2048)
PROCESSES = {1: 1 << 19, 8: 1 << 19, 1024: 1 << 22}  # the tokens of a step for each
SECONDS = 3.0
FORGOTTEN, DOCUMENTS, ASKED = (1_000, 100_000, 1_000_000), 100, 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    config = config_for_scale(SCALE)
    shards = open_shards(shards_of(opened_home(arguments.work), arguments.data, config), "train")
    rows = []
    for row_tokens, (processes, step_tokens) in itertools.product(ROW_TOKENS, PROCESSES.items()):
        progress(f"rows of {row_tokens}, {processes} processes")
        shape = replace(config.shape, context_tokens=row_tokens)
        run = replace(config, shape=shape, batch_tokens=step_tokens, micro_batch_tokens=1 << 14)
        seconds, goes_on = measured(shards, run, Share(0, processes))
        step = statistics.fmean(seconds)  # the few steps that pack a pool take long
        speed = f"{step_tokens / step / 1e6:,.1f}"
        rows.append(
            [
                f"{row_tokens:,}",
                f"{processes:,}",
                f"{step * 1e3:,.1f}",
                speed,
                f"{goes_on * 1e3:,.0f}",
            ]
        )
    columns = ["tokens a row", "processes", "ms a step", "million tokens/s of all", "ms to go on"]
    asked = [
        [f"{forgotten:,}", f"{asking_seconds(shards, forgotten) * 1e3:.2f}"]
        for forgotten in FORGOTTEN
    ]
    body = (
        f"{shards.documents:,} documents of {len(shards.tokens):,} "
        f"tokens.\n\n{table(columns, rows)}\n"
        + table(["posts forgotten before", "ms to ask after one more"], asked)
    )
    print(
        write_result(
            "batches", "Batches a second, of one process of many", ["numpy"], body
        ).read_text()
    )


def measured(shards: Shards, config: TrainConfig, share: Share) -> tuple[list[float], float]:
    """Return the seconds of each step, and of the first one from a position in the second epoch."""
    going, seconds = batches(shards, config, nothing, share=share), []
    step = next(going)
    while sum(seconds) < SECONDS:
        began = time.perf_counter()
        step = next(going)
        seconds.append(time.perf_counter() - began)
    begin = step.following._replace(epoch=1, pool=0, unit=0)
    began = time.perf_counter()
    next(batches(shards, config, nothing, begin, share))
    return seconds, time.perf_counter() - began


def asking_seconds(shards: Shards, forgotten: int) -> float:
    """Return the seconds to ask the log of a home which documents are left out.

    In the home this many posts were forgotten, and one more since the log was asked last.
    """
    documents, seconds = np.arange(DOCUMENTS), []
    with (
        tempfile.TemporaryDirectory() as folder,
        live_log(create_home(Path(folder) / "home")) as log,
    ):
        log.append(
            "forget_post",
            (f"before {number}" for number in range(forgotten)),
            SystemClock(),
            "a benchmark",
        )
        masked = DocumentMask(shards, log)
        for number in range(ASKED):
            log.append("forget_post", [f"since {number}"], SystemClock(), "a benchmark")
            began = time.perf_counter()
            masked(documents)
            seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def nothing(documents: np.ndarray) -> np.ndarray:
    return documents < 0


if __name__ == "__main__":
    main()
