"""A small network that writes: random weights, a small vocabulary, a short context."""

from dataclasses import replace
from functools import cache

from networks import SHAPE, effective_network

from rookery.core.protocols import GenerationOptions
from rookery.model.generate import NetworkGenerator
from rookery.model.tokenizer import Tokenizer
from rookery.model.tokens.bpe import train_bpe

WORDS = ["the rooks came back to the elms 🦜", "грачи вернулись домой", "hello rooks, hello elms!"]
CONTEXT_TOKENS = 48


@cache
def tokenizer() -> Tokenizer:
    """Return a tokenizer of 512 tokens."""
    return Tokenizer(train_bpe(WORDS * 5, 512))


def random_generator(slots: int = 4, context_tokens: int = CONTEXT_TOKENS) -> NetworkGenerator:
    """Return a generator whose every weight has an effect."""
    shape = replace(SHAPE, vocabulary=512, context_tokens=context_tokens, rope_theta=500.0)
    network = effective_network(shape).eval().requires_grad_(False)
    return NetworkGenerator("small", "0" * 64, network, tokenizer(), slots=slots)


def written(generator, prompt, **options) -> str:
    """Return the whole text that a generator writes after a prompt."""
    return "".join(p.text for p in generator.generate(prompt, GenerationOptions(**options)))
