"""A training run that takes a second: its shape, its documents, and how its losses are read.

`python tiny_run.py HOME` trains in that home, in as many processes as its launcher started; that is
how tests train in processes that they can kill. `tiny_run.py HOME SECONDS` is watched, with this
much patience. What the run prints lies in HOME/said.
"""

import json
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rookery.cli.processes import rank_from_environment, reporting_outcome
from rookery.core.artifact import Artifact
from rookery.core.context import Context, SilentProgress
from rookery.core.digest import digest_file, hash_ids
from rookery.core.home import Home, open_home
from rookery.core.stage import Stage, run_stage
from rookery.corpus.document import LAKE_VERSION
from rookery.model.config import TrainConfig, WatchConfig
from rookery.model.data.batches import Rows
from rookery.model.degrees import Degrees
from rookery.model.parallel.placement import local
from rookery.model.parallel.processes import ProcessRank, joined
from rookery.model.shape import ModelShape
from rookery.model.train import train
from rookery.model.training.run import Run

SHAPE = ModelShape(
    vocabulary=64,
    width=32,
    layers=2,
    heads=2,
    kv_heads=1,
    head_size=16,
    hidden=64,
    context_tokens=32,
)
CONFIG = TrainConfig(
    0.0, SHAPE, steps=12, batch_tokens=256, micro_batch_tokens=128, checkpoint_steps=4
)
LONGER = replace(CONFIG, steps=60)
needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="there is no g++ here")


def kept_bytes(run: Run, rows: Rows) -> int:
    """Return how many bytes some rows keep for their backward pass, without the weights."""
    kept = {}
    weights = {local(weight).data_ptr() for weight in run.placed.weights().values()}

    def keep(tensor):
        held = local(tensor)
        if held.data_ptr() not in weights:
            kept[held.data_ptr()] = held.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run.loss(rows)
    return sum(kept.values())


def make_tokenizer(home: Home, text: str = "{}") -> Artifact:
    def make(workspace):
        (workspace.path / "tokenizer.json").write_text(text)
        return {}

    return run_stage(home, Stage("tokenizer", 0, text, {}), make, Context())


def make_shards(
    home: Home,
    tokenizer: Artifact,
    documents: int = 200,
    vocabulary: int = 64,
    held_out: str = "validation",
) -> Artifact:
    """Make documents that count upwards from a random token: something that can be learned.

    held_out: the prefix of the ids of validation posts; with `train` they are the first of the
    posts that are learned from.
    """

    def make(workspace):
        random = np.random.default_rng(0)
        for split, n in (("train", documents), ("validation", documents // 10)):
            starts, lengths = random.integers(1, 32, n), random.integers(3, 30, n)
            texts = [[*range(a, a + k), 0] for a, k in zip(starts, lengths, strict=True)]
            flat = np.array([token for text in texts for token in text], "<u2")
            flat.tofile(workspace.path / f"{split}.tokens")
            np.cumsum([0, *map(len, texts)]).astype("<i8").tofile(
                workspace.path / f"{split}.offsets"
            )
            name = held_out if split == "validation" else split
            hash_ids(f"{name}{i}" for i in range(n)).tofile(workspace.path / f"{split}.post_hashes")
            hash_ids(f"author{i % 10}" for i in range(n)).tofile(
                workspace.path / f"{split}.author_hashes"
            )
            np.arange(n + 1, dtype="<i8").tofile(workspace.path / f"{split}.post_offsets")
        return {"documents_train": documents, LAKE_VERSION: 0}

    inputs = {"tokenizer": digest_file(tokenizer.file("tokenizer.json")), "held out": held_out}
    config = {"vocabulary": vocabulary, "end_of_document": 0}
    return run_stage(home, Stage("shards", documents, config, inputs), make, Context())


def losses(artifact: Artifact) -> list[float]:
    """Return the loss of each step of a checkpoint's run."""
    lines = (artifact.path / "notes" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(len(lines)))
    return [json.loads(line)["loss"] for line in lines]


def gone_on_after(home: Home) -> list[int]:
    """Return after which steps runs in a home went on, the last one last."""
    path = home.path / "said"
    said = path.read_text() if path.exists() else ""
    return [int(step) for step in re.findall(r"^Going on after step (\d+)\.$", said, re.MULTILINE)]


class _Noted(SilentProgress):
    def __init__(self, home: Home):
        self._file = home.path / "said"

    def say(self, line: str) -> None:
        with open(self._file, "a") as file:
            file.write(f"{line}\n")


def train_longer(home: Home, place: ProcessRank, watch: WatchConfig | None = None) -> None:
    """Train `LONGER`, in this process or in all that the launcher started."""
    with joined(place, Degrees()) as processes:
        tokenizer = processes.main_process_first(lambda: make_tokenizer(home))
        shards = processes.main_process_first(lambda: make_shards(home, tokenizer))
        train(
            home, shards, tokenizer, LONGER, Context(progress=_Noted(home)), processes, watch=watch
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, found = Path(sys.argv[1]), rank_from_environment(None)
    with open(folder / "pids", "a") as pids:
        pids.write(f"{os.getpid()}\n")
    with reporting_outcome(found):
        watch = WatchConfig(seconds=float(sys.argv[2])) if sys.argv[2:] else None
        train_longer(open_home(folder), found or ProcessRank(), watch)
