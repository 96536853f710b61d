"""A tiny checkpoint with random weights and a small tokenizer, for tests of a trained model."""

import pytest
import torch

from rookery.core.config import to_plain
from rookery.core.context import Context
from rookery.core.stage import Stage, run_stage
from rookery.model.checkpoint import save_network
from rookery.model.network import Network
from rookery.model.phases import Phase
from rookery.model.shape import ModelShape
from rookery.model.tokenizer import train_bpe
from tests.support.tensors import held

TINY = ModelShape(
    vocabulary=512,
    width=32,
    layers=2,
    heads=4,
    kv_heads=2,
    head_size=8,
    hidden=64,
    context_tokens=24,
    rope_theta=500.0,
)
WORDS = ["the rooks came back to the elms 🦜", "грачи вернулись домой", "hello rooks, hello elms!"]


def random_network(shape: ModelShape, seed: int) -> Network:
    """Return a network whose every weight is random, so that no part of it is without effect."""
    network, generator = Network(shape), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            deviation = 0.3 if weight.dim() == 1 else weight.shape[1] ** -0.5
            weight.normal_(float(weight.dim() == 1), deviation, generator=generator)
    return network


@pytest.fixture(autouse=True)
def one_thread():
    """Compute with one thread during a test.

    Small tensors gain nothing from threads, and lose much if test processes share the cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def make_checkpoint(home):
    """Return a function that makes a checkpoint of a shape, a seed and its phases' corpora.

    beside: writes further files into its folder.
    """

    def make(shape: ModelShape = TINY, seed: int = 0, corpora=(), controls=(), beside=None):
        def write(workspace):
            save_network(workspace.path, shape, held(random_network(shape, seed).state_dict()))
            tokenizer = train_bpe(WORDS * 5, shape.vocabulary, controls)
            (workspace.path / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
            if beside is not None:
                beside(workspace.path)
            return {"phases": [to_plain(Phase("", "", corpus.digest, 1, 1)) for corpus in corpora]}

        inputs = {"seed": str(seed)} | {
            f"shards of phase {n}": corpus.digest for n, corpus in enumerate(corpora)
        }
        return run_stage(home, Stage("checkpoint", 1, shape, inputs), write, Context())

    return make


@pytest.fixture
def checkpoint(make_checkpoint):
    return make_checkpoint()
