"""What search, ads and the gateway need of a model, and an untrained seeded twin of each.

`search` and `ads` never import `model`: they are given one of these. The twins need no training and
no torch, so that both packages work, and are tested, before any model exists.
"""

import collections.abc
import functools
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from rookery.core.digest import digest_value
from rookery.core.errors import UsageError
from rookery.core.sampling import GenerationOptions as GenerationOptions
from rookery.core.sampling import Sampler, logprobs_of

UNMEASURED_WEIGHT = 0.1
"""The weight of vectors whose worth nobody measured. Search gave it to all of them before embedders
stated one: little enough that untrained vectors break ties and do no harm.
"""
FEATURE_BUCKETS = 1 << 18
"""How many buckets the features of an ad's view are hashed into."""
NO_FEATURE = -1
"""Stands in the place of a bucket where a view has no further feature."""


class Embedder(Protocol):
    """A map from texts to vectors whose dot product measures similarity."""

    @property
    def digest(self) -> str:
        """Return a name of the model's content; an index refuses vectors of another one."""

    @property
    def dimensions(self) -> int:
        """Return the length of its vectors."""

    @property
    def weight(self) -> float:
        """Return the weight, from 0 to 1, that its vectors deserve beside BM25.

        It is that at which they were best on pairs of posts held back, 0 if they helped nowhere.
        """

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 vectors of shape (len(texts), dimensions), each of length 1.

        A text without content has a vector of length 0.
        """


@dataclass(frozen=True)
class Message:
    """A turn of a chat. role: who speaks, as the model's template names it (system, user,
    assistant).
    """

    role: str
    content: str


Prompt = str | Sequence[Message]
"""A text to continue, or a chat to answer."""


@dataclass(frozen=True)
class TokenLogprob:
    """The natural logarithm of a token's probability, and the likeliest tokens at its place.

    bytes: what the token stands for, which may be a part of a character; none if it ends the text.
    """

    bytes: bytes
    logprob: float
    top: "tuple[TokenLogprob, ...]" = ()


@dataclass(frozen=True)
class TextChunk:
    """A piece of generated text; the last one says why it ended (`stop` or `length`).

    choice: which of the texts it belongs to, where several are written. logprobs: those of its
    tokens, where they are asked for.
    """

    text: str
    tokens: int = 1
    finish_reason: str | None = None
    choice: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()


class Continuation(Protocol):
    """The pieces of texts while they are written. Closing it ends the writing at once."""

    def __iter__(self) -> Iterator[TextChunk]:
        """Return itself."""

    def __next__(self) -> TextChunk:
        """Return the next piece, waiting for it."""

    def close(self) -> None:
        """End the writing; what was not read yet is lost."""


class Generator(Protocol):
    """A language model that continues texts and answers chats, many at once."""

    @property
    def name(self) -> str:
        """Return the name that the API reports."""

    @property
    def digest(self) -> str:
        """Return a name of the model's content."""

    @property
    def context_tokens(self) -> int:
        """Return how many tokens prompt and continuation may have together."""

    def count_tokens(self, prompt: Prompt) -> int:
        """Return the number of tokens of a prompt."""

    def generate(self, prompt: Prompt, options: GenerationOptions) -> Continuation:
        """Return the continuation of a prompt piece by piece; no piece splits a character.

        Any thread may call it at any time: the texts of all calls are written together. Pieces of
        the `n` texts of one call come mixed, each text's own in order; one whose reader does not
        read waits, and keeps no other waiting. Raises `UsageError` for what cannot be done, such as
        a schema that no text meets.
        """

    def close(self) -> None:
        """End all texts that are being written, and write no more."""


class ClickPredictor(Protocol):
    """An estimate of how likely clicks are, from the features of ads and of what is around them.

    Features arrive hashed: the numbers of their buckets, below `FEATURE_BUCKETS`, as int64 of shape
    (views, features); `NO_FEATURE` fills the places of a view that has fewer. The ads ledger stores
    these numbers and the predictor's state, so that words of a query stay out.
    """

    @property
    def name(self) -> str:
        """Return the name of this kind of predictor; the ledger stores the state of each kind."""

    def predict(self, buckets: np.ndarray) -> np.ndarray:
        """Return the probability of a click on each view, in (0, 1); float64 (views,)."""

    def learn(self, buckets: np.ndarray, clicked: np.ndarray) -> None:
        """Learn from views in this order, and whether each was clicked: bool (views,)."""

    def to_bytes(self) -> bytes:
        """Return the state, which changes as the predictor learns."""

    def from_bytes(self, state: bytes) -> "ClickPredictor":
        """Return a new predictor of this kind with a state that `to_bytes` returned."""


_WORD = re.compile(r"\w+")
_PIECE = re.compile(r" \S*")


@dataclass(frozen=True)
class HashedEmbedder:
    """The untrained twin: a signed hashed bag of words and of character trigrams."""

    dimensions: int = 128
    seed: int = 0
    weight: float = UNMEASURED_WEIGHT

    @property
    def digest(self) -> str:
        return digest_value({"hashed": self.dimensions, "seed": self.seed})

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        places: list[int] = []
        weights: list[float] = []
        for first, text in zip(range(0, vectors.size, self.dimensions), texts, strict=True):
            for word in _WORD.findall(text.lower()):
                of_word = _features(word, self.seed, self.dimensions)
                places += [first + place for place in of_word[0]]
                weights += of_word[1]
        np.add.at(vectors.reshape(-1), np.array(places, np.int64), np.array(weights, np.float32))
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths > 0, lengths, 1.0)


@functools.lru_cache(maxsize=1 << 16)
def _features(word: str, seed: int, dimensions: int) -> tuple[list[int], list[float]]:
    """Return the places in a vector that a word and its trigrams change, and by how much."""
    trigrams = [f" {word} "[i : i + 3] for i in range(len(word))]
    codes = [zlib.crc32(feature.encode(), seed) for feature in (word, *trigrams)]
    signs = [1.0 if code & 0x80000000 else -1.0 for code in codes]
    weights = [signs[0], *(0.3 * sign for sign in signs[1:])]
    return [code % dimensions for code in codes], weights


@dataclass(frozen=True)
class SeededGenerator:
    """The untrained twin: it repeats words of the prompt, as likely as they are often in it."""

    name: str = "untrained"
    seed: int = 0
    context_tokens: int = 256

    @property
    def digest(self) -> str:
        return digest_value({"seeded": self.seed})

    def count_tokens(self, prompt: Prompt) -> int:
        return len(_plain(prompt).split())

    def generate(self, prompt: Prompt, options: GenerationOptions) -> Continuation:
        if options.schema is not None:
            raise UsageError("the untrained twin of a model follows no schema")
        return self._pieces(_plain(prompt), options)

    def _pieces(
        self, prompt: str, options: GenerationOptions
    ) -> collections.abc.Generator[TextChunk, None, None]:
        for choice in range(options.n):
            yield from self._text(prompt, options, choice)

    def _text(self, prompt: str, options: GenerationOptions, choice: int) -> Iterator[TextChunk]:
        words = Counter(prompt.split() or ["rookery"])
        logits, spelled = np.log(np.fromiter(words.values(), float)), [f" {w}" for w in words]
        seed = self.seed if options.seed is None else options.seed
        random = np.random.default_rng(
            [seed, choice, zlib.crc32(prompt.encode("utf-8", "replace"))]
        )
        sampler = Sampler(options, random, range(len(words)))
        places = [sampler.choose(logits) for _ in range(options.max_tokens)]
        text = "".join(spelled[place] for place in places)
        ends = [place for stop in options.stop if stop and (place := text.find(stop)) >= 0]
        pieces = _PIECE.findall(text[: min(ends)]) or [""] if ends else _PIECE.findall(text)
        for n, (piece, place) in enumerate(zip(pieces, places, strict=False), 1):
            reason = None if n < len(pieces) else "stop" if ends else "length"
            told = _told(logits, place, options.logprobs, spelled)
            yield TextChunk(piece, 1, reason, choice, told)

    def close(self) -> None:
        pass


def _plain(prompt: Prompt) -> str:
    """Return a prompt as one text, a chat with a line for each message."""
    if isinstance(prompt, str):
        return prompt
    return "".join(f"{message.content}\n" for message in prompt)


def _told(
    logits: np.ndarray, place: int, count: int | None, words: Sequence[str]
) -> tuple[TokenLogprob, ...]:
    """Return the probability of a word and of the likeliest ones, if they are asked for."""
    if count is None:
        return ()
    own, top = logprobs_of(logits, place, count)
    likeliest = tuple(TokenLogprob(words[other].encode("utf-8", "replace"), p) for other, p in top)
    return (TokenLogprob(words[place].encode("utf-8", "replace"), own, likeliest),)


@dataclass(frozen=True)
class ConstantPredictor:
    """The untrained twin: the same probability for every ad, whatever it is shown."""

    probability: float = 0.02
    name: str = "constant"

    def predict(self, buckets: np.ndarray) -> np.ndarray:
        return np.full(len(buckets), self.probability)

    def learn(self, buckets: np.ndarray, clicked: np.ndarray) -> None:
        pass

    def to_bytes(self) -> bytes:
        return b""

    def from_bytes(self, state: bytes) -> "ConstantPredictor":
        return self


if TYPE_CHECKING:  # mypy checks here that each twin has what its protocol asks for
    _EMBEDDER: Embedder = HashedEmbedder()
    _GENERATOR: Generator = SeededGenerator()
    _PREDICTOR: ClickPredictor = ConstantPredictor()
