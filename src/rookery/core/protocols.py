"""What search, ads and the gateway need of a model, and an untrained seeded twin of each.

`search` and `ads` never import `model`: they are given one of these. The twins need no training
and no torch, so that both packages work, and are tested, before any model exists.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rookery.core.digest import digest_value


class Embedder(Protocol):
    """Texts to vectors whose dot product says how alike they are."""

    digest: str
    dimensions: int

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 of shape (len(texts), dimensions), each row of length 1 (or 0 for a text without
        content).
        """


@dataclass(frozen=True)
class GenerationOptions:
    """How to continue a prompt; temperature 0 always takes the likeliest token."""

    max_tokens: int = 64
    temperature: float = 0.8
    top_k: int = 50
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextChunk:
    """A piece of generated text; the last one says why it ended (`stop` or `length`)."""

    text: str
    tokens: int = 1
    finish_reason: str | None = None


class Generator(Protocol):
    """A prompt to its continuation."""

    name: str
    digest: str
    context_tokens: int

    def count_tokens(self, text: str) -> int:
        """How many tokens the text is."""

    def generate(self, prompt: str, options: GenerationOptions) -> Iterator[TextChunk]:
        """The continuation, piece by piece; whole characters only."""


class ClickPredictor(Protocol):
    """Features of an (ad, context) pair to the probability of a click; learns as clicks come in."""

    def predict(self, features: Sequence[Sequence[str]]) -> np.ndarray:
        """float64 of shape (len(features),), each in (0, 1)."""

    def learn(self, features: Sequence[str], clicked: bool) -> None:
        """Take in one view and whether it was clicked."""


_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class HashedEmbedder:
    """The untrained twin: a signed hashed bag of words and of character trigrams."""

    dimensions: int = 128
    seed: int = 0

    @property
    def digest(self) -> str:
        return digest_value({"hashed": self.dimensions, "seed": self.seed})

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in _WORD.findall(text.lower()):
                trigrams = [f" {word} "[i : i + 3] for i in range(len(word))]
                for feature, weight in [(word, 1.0), *((t, 0.3) for t in trigrams)]:
                    code = zlib.crc32(feature.encode(), self.seed)
                    row[code % self.dimensions] += weight if code & 0x80000000 else -weight
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths > 0, lengths, 1.0)


@dataclass(frozen=True)
class SeededGenerator:
    """The untrained twin: continues with words of the prompt, drawn by a seed."""

    name: str = "untrained"
    seed: int = 0
    context_tokens: int = 256

    @property
    def digest(self) -> str:
        return digest_value({"seeded": self.seed})

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def generate(self, prompt: str, options: GenerationOptions) -> Iterator[TextChunk]:
        words = prompt.split() or ["rookery"]
        seed = self.seed if options.seed is None else options.seed
        random = np.random.default_rng([seed, zlib.crc32(prompt.encode())])
        for n in range(options.max_tokens):
            last = n + 1 == options.max_tokens
            yield TextChunk(f" {words[random.integers(len(words))]}", 1, "length" if last else None)
