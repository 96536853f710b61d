"""Sampling: how the next token is chosen from the logits of all.

Functions of numbers, for any generator of text, the untrained twin among them. What is a token,
and where logits come from, is the generator's own.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rookery.core.errors import UsageError

MOST_CHOICES = 128
MOST_LOGPROBS = 20


@dataclass(frozen=True)
class GenerationOptions:
    """The options of a continuation; temperature 0 always takes the most likely token.

    top_k: 0 or less takes all. min_p: the least probability, as a share of the likeliest token's.
    repetition_penalty: makes tokens of the prompt and of the text so far less likely if above 1.
    frequency_penalty, presence_penalty: taken from a token's logit for each time, or once if ever,
    that the text so far has it. n: how many texts are written, each from a seed of its own.
    logprobs: how many of the likeliest tokens are told with each token, beside its own
    probability; None tells none. schema: the JSON schema that the text will follow.
    Raises `UsageError` for a number that makes no sense.
    """

    max_tokens: int = 64
    temperature: float = 0.8
    top_k: int = 50
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    n: int = 1
    logprobs: int | None = None
    schema: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for name, least, most, words in _RANGES:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and least <= value <= most):
                raise UsageError(f"{name} must be {words}, not {value}")
        if self.repetition_penalty == 0:
            raise UsageError("repetition_penalty must be above 0")


_RANGES = (
    ("temperature", 0, math.inf, "0 or more"),
    ("top_p", 0, 1, "from 0 to 1"),
    ("min_p", 0, 1, "from 0 to 1"),
    ("repetition_penalty", 0, math.inf, "above 0"),
    ("frequency_penalty", -math.inf, math.inf, "a finite number"),
    ("presence_penalty", -math.inf, math.inf, "a finite number"),
    ("seed", 0, math.inf, "0 or more"),
    ("n", 1, MOST_CHOICES, f"from 1 to {MOST_CHOICES}"),
    ("logprobs", 0, MOST_LOGPROBS, f"from 0 to {MOST_LOGPROBS}"),
)


class Sampler:
    """The choice of the tokens of one text, each of which counts for the penalties of the next."""

    def __init__(
        self, options: GenerationOptions, random: np.random.Generator, prompt: Iterable[int] = ()
    ):
        """Begin a text after the tokens of a prompt."""
        self._options, self._random = options, random
        self._is_penalized = (
            options.repetition_penalty != 1
            or options.frequency_penalty != 0
            or options.presence_penalty != 0
        )
        self._written: Counter[int] = Counter()
        self._prompt = set(prompt) if self._is_penalized else set()

    def choose(self, logits: np.ndarray) -> int:
        """Return the next token, given the logits (V,); -∞ is never taken where another is."""
        if self._is_penalized:
            logits = penalized(logits, self._prompt, self._written, self._options)
        token = self._drawn(logits)
        if self._is_penalized:
            self._written[token] += 1
        return token

    def _drawn(self, logits: np.ndarray) -> int:
        if self._options.temperature <= 0:
            return int(logits.argmax())
        tokens, p = likeliest(logits, self._options)
        place = np.searchsorted(p.cumsum(), self._random.random() * p.sum(), side="right")
        return int(tokens[min(place, len(tokens) - 1)])


def penalized(
    logits: np.ndarray, prompt: set[int], written: Mapping[int, int], options: GenerationOptions
) -> np.ndarray:
    """Return logits (V,) with the penalties on the tokens of the prompt and of the text.

    The repetition penalty divides a logit, or multiplies a negative one (Keskar et al. 2019, CTRL,
    as transformers and vLLM do it); the other two are subtracted, as in OpenAI's API.
    written: how often the text has each token so far.
    """
    changed = logits.copy()
    seen = np.fromiter(prompt | written.keys(), np.int64)
    old = changed[seen]
    changed[seen] = np.where(
        old > 0, old / options.repetition_penalty, old * options.repetition_penalty
    )
    tokens, counts = np.fromiter(written, np.int64), np.fromiter(written.values(), np.int64)
    changed[tokens] -= (options.frequency_penalty * counts + options.presence_penalty).astype(
        changed.dtype
    )
    return changed


def likeliest(logits: np.ndarray, options: GenerationOptions) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens that the options leave of logits (V,), and their probabilities.

    First the temperature applies, then top-k, then min-p, then top-p: the fewest tokens that
    together have at least that probability. At least one token is left. Where only top-k cuts, the
    tokens are in no order: nothing is sorted.
    """
    tokens = _highest(logits, options.top_k)
    scaled = logits[tokens].astype(np.float64)
    scaled -= scaled.max()
    p = np.exp(scaled / options.temperature)
    p /= p.sum()
    if options.min_p > 0:
        kept = p >= options.min_p * p.max()
        tokens, p = tokens[kept], p[kept]
    if options.top_p < 1:
        order = np.argsort(-p, kind="stable")
        tokens, p = tokens[order], p[order]
        before = np.cumsum(p) - p
        kept = before < options.top_p
        kept[0] = True
        tokens, p = tokens[kept], p[kept]
    return tokens, p / p.sum()


def _highest(logits: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the highest logits, in no order; of all that are possible for 0."""
    if 0 < count < len(logits):
        places = np.argpartition(logits, -count)[-count:]
        places.sort()
        return places[logits[places] > -np.inf]
    return np.flatnonzero(logits > -np.inf)


def logprobs_of(
    logits: np.ndarray, chosen: int, count: int
) -> tuple[float, list[tuple[int, float]]]:
    """Return the natural logarithm of a token's probability, and of the `count` likeliest tokens'.

    Those of the model itself: without temperature, penalties and cuts. The likeliest come first.
    """
    highest = float(logits.max())
    total = highest + math.log(float(np.exp((logits - highest).astype(np.float64)).sum()))
    places = _highest(logits, count) if count else np.empty(0, np.int64)
    order = places[np.argsort(-logits[places], kind="stable")][:count]
    return float(logits[chosen]) - total, [(int(t), float(logits[t]) - total) for t in order]
