"""A small network that writes: random weights, a small vocabulary, a short context."""

from dataclasses import replace
from functools import cache

from networks import SHAPE, effective_network
from tensors import held

from rookery.core.artifact import Artifact
from rookery.core.context import Context
from rookery.core.home import Home
from rookery.core.protocols import GenerationOptions
from rookery.core.stage import Stage, run_stage
from rookery.model.checkpoint import save_network
from rookery.model.generate import NetworkGenerator
from rookery.model.tokenizer import Tokenizer
from rookery.model.tokens.bpe import train_bpe

WORDS = ["the rooks came back to the elms 🦜", "грачи вернулись домой", "hello rooks, hello elms!"]
CONTEXT_TOKENS = 48
SCHEMA = {
    "type": "object",
    "properties": {"bird": {"enum": ["rook", "crow"]}, "count": {"type": "integer"}},
    "required": ["bird", "count"],
    "additionalProperties": False,
}


@cache
def tokenizer() -> Tokenizer:
    """Return a tokenizer of 512 tokens."""
    return Tokenizer(train_bpe(WORDS * 5, 512))


SMALL = replace(SHAPE, vocabulary=512, context_tokens=CONTEXT_TOKENS, rope_theta=500.0)


def random_generator(slots: int = 4) -> NetworkGenerator:
    """Return a generator whose every weight has an effect."""
    network = effective_network(SMALL).eval().requires_grad_(False)
    return NetworkGenerator("small", "0" * 64, network, tokenizer(), slots=slots)


def random_checkpoint(home: Home) -> Artifact:
    """Return a checkpoint of the same weights, made in a home."""

    def write(workspace):
        save_network(workspace.path, SMALL, held(effective_network(SMALL).state_dict()))
        (workspace.path / "tokenizer.json").write_text(tokenizer().file_text, encoding="utf-8")
        return {}

    return run_stage(home, Stage("checkpoint", 1, SMALL, {}), write, Context())


def written(generator, prompt, **options) -> str:
    """Return the whole text that a generator writes after a prompt."""
    return "".join(p.text for p in generator.generate(prompt, GenerationOptions(**options)))
