"""Sampling: how the next token is chosen from the logits of all.

Pure functions of numbers, for any generator of text, the untrained twin among them. What is a
token, and where logits come from, is the generator's own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GenerationOptions:
    """The options of a continuation; temperature 0 always takes the most likely token.

    top_k: 0 or less takes all. min_p: the least probability, as a share of the likeliest token's.
    repetition_penalty: makes tokens of the prompt and of the text so far less likely if above 1.
    """

    max_tokens: int = 64
    temperature: float = 0.8
    top_k: int = 50
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


def sampler(
    options: GenerationOptions, random: np.random.Generator
) -> Callable[[np.ndarray, np.ndarray], int]:
    """Return a function from logits (V,), and which tokens (V,) came before, to a chosen place."""

    def choose(logits: np.ndarray, seen: np.ndarray) -> int:
        logits = penalized(logits, seen, options.repetition_penalty)
        if options.temperature <= 0:
            return int(np.argmax(logits))
        return int(random.choice(len(logits), p=probabilities(logits, options)))

    return choose


def penalized(logits: np.ndarray, seen: np.ndarray, penalty: float) -> np.ndarray:
    """Return logits (V,) with those of seen tokens divided by a penalty, or multiplied if negative.

    Keskar et al. 2019 (CTRL), as transformers and vLLM do it.
    """
    if penalty == 1:
        return logits
    return np.where(seen, np.where(logits > 0, logits / penalty, logits * penalty), logits)


def probabilities(logits: np.ndarray, options: GenerationOptions) -> np.ndarray:
    """Return the probabilities (V,) that the options derive from logits (V,).

    First the temperature applies, then top-k, then min-p, then top-p: the fewest tokens that
    together have at least that probability.
    """
    order = np.argsort(-logits, kind="stable")
    if options.top_k > 0:
        order = order[: options.top_k]
    scaled = (logits[order] - logits[order[0]]) / options.temperature
    p = np.exp(scaled) / np.exp(scaled).sum()
    cut = p < options.min_p * p[0]
    cut[1:] |= np.cumsum(p)[:-1] >= options.top_p  # the likeliest token always stays
    result = np.zeros(len(logits))
    result[order] = np.where(cut, 0.0, p)
    return result / result.sum()
