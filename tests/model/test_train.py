"""Training end to end, on sizes small enough to run in a second."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rookery.core.artifact import Artifact
from rookery.core.context import Context
from rookery.core.digest import digest_file, hash_ids
from rookery.core.errors import DataError
from rookery.core.home import Home
from rookery.core.stage import Stage, run_stage
from rookery.model.checkpoint import load_network
from rookery.model.config import TrainConfig
from rookery.model.shape import ModelShape
from rookery.model.train import train

SHAPE = ModelShape(vocabulary=64, width=32, layers=2, heads=2, kv_heads=1, head_size=16, hidden=64, context_tokens=32)
CONFIG = TrainConfig(0.0, SHAPE, steps=12, batch_tokens=256, micro_batch_tokens=128, checkpoint_steps=4)


def make_tokenizer(home: Home, text: str = "{}") -> Artifact:
    def make(workspace):
        (workspace.path / "tokenizer.json").write_text(text)
        return {}

    return run_stage(home, Stage("tokenizer", 0, text, {}), make, Context())


def make_shards(home: Home, tokenizer: Artifact, documents: int = 200, vocabulary: int = 64) -> Artifact:
    """Documents that count upwards from a random token: something that can be learned."""

    def make(workspace):
        random = np.random.default_rng(0)
        for split, n in (("train", documents), ("validation", documents // 10)):
            starts, lengths = random.integers(1, 32, n), random.integers(3, 30, n)
            texts = [[*range(a, a + k), 0] for a, k in zip(starts, lengths, strict=True)]
            flat = np.array([token for text in texts for token in text], "<u2")
            flat.tofile(workspace.path / f"{split}.tokens")
            np.cumsum([0, *map(len, texts)]).astype("<i8").tofile(workspace.path / f"{split}.offsets")
            hash_ids(f"{split}{i}" for i in range(n)).tofile(workspace.path / f"{split}.post_hashes")
            hash_ids(f"author{i % 10}" for i in range(n)).tofile(workspace.path / f"{split}.author_hashes")
            np.arange(n + 1, dtype="<i8").tofile(workspace.path / f"{split}.post_offsets")
        return {"documents_train": documents}

    inputs = {"tokenizer": digest_file(tokenizer.file("tokenizer.json"))}
    config = {"vocabulary": vocabulary, "end_of_document": 0}
    return run_stage(home, Stage("shards", documents, config, inputs), make, Context())


@pytest.fixture
def tokenizer(home) -> Artifact:
    return make_tokenizer(home)


@pytest.fixture
def shards(home, tokenizer) -> Artifact:
    return make_shards(home, tokenizer)


def test_a_tiny_network_learns_to_count(home, shards, tokenizer):
    made = train(home, shards, tokenizer, replace(CONFIG, steps=150, decay_steps=75), Context())
    assert made.manifest.metrics["validation_loss"] < 1.5
    network = load_network(made)
    assert network.logits(network(torch.tensor([[0, 7, 8, 9, 10]])))[0, -1].argmax() == 11


def test_the_same_run_gives_the_same_bytes(home, shards, tokenizer, tmp_path):
    from rookery.core.home import create_home

    other = create_home(tmp_path / "other")
    again = train(other, make_shards(other, make_tokenizer(other)), make_tokenizer(other), CONFIG, Context())
    assert train(home, shards, tokenizer, CONFIG, Context()).digest == again.digest


def test_shards_of_another_tokenizer_are_refused_by_name(home, shards):
    other = make_tokenizer(home, "other")
    with pytest.raises(DataError, match=f"shards {shards.key}.*tokenizer {other.key}"):
        train(home, shards, other, CONFIG, Context())
