"""Estimates: bits per byte of groups of texts, with confidence intervals.

The interval is a bootstrap (Efron 1979): the authors are drawn anew a thousand times, with all of
their texts, since the texts of one author are similar; the interval goes from the 2.5th to the
97.5th percentile of the results. Systems are compared on the same draws. The interval shows how
much another sample of authors would change the figure, not how much another training run would. The
bits of each text come from `bits.py` and `baselines.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

DRAWS = 1000
FEWEST_AUTHORS = 10  # an interval from fewer would mean nothing
PERCENTILES = (2.5, 97.5)
MODEL = "model"


@dataclass(frozen=True)
class ScoredTexts:
    """Texts and the bits that they cost each system; every array has one value for each text.

    sizes: in bytes. authors: any number for each author. bits: by the system's name.
    """

    sizes: np.ndarray
    authors: np.ndarray
    bits: Mapping[str, np.ndarray]

    def of(self, chosen: np.ndarray) -> "ScoredTexts":
        """Return some of the texts, chosen by place or by bool."""
        costs = {name: cost[chosen] for name, cost in self.bits.items()}
        return ScoredTexts(self.sizes[chosen], self.authors[chosen], costs)


def summarize(judged: ScoredTexts) -> dict[str, Any]:
    """Return the figures of some texts.

    Keys: `bytes`, `documents`, `authors`, `bits_per_byte`, `interval_95`, `model_less`.
    interval_95: [low, high] for each system. model_less: for each other system [difference, low,
    high], below zero where the model needs fewer bits. Both are empty if there are fewer than ten
    authors.
    """
    size, authors = int(judged.sizes.sum()), len(np.unique(judged.authors))
    per_byte = {name: float(cost.sum()) / size for name, cost in judged.bits.items()}
    drawn = bootstrap(judged) if authors >= FEWEST_AUTHORS else {}
    return {
        "bytes": size,
        "documents": len(judged.sizes),
        "authors": authors,
        "bits_per_byte": {name: round(value, 4) for name, value in per_byte.items()},
        "interval_95": {name: interval(values) for name, values in drawn.items()},
        "model_less": {
            name: [round(per_byte[MODEL] - per_byte[name], 4), *interval(drawn[MODEL] - values)]
            for name, values in drawn.items()
            if name != MODEL
        },
    }


def by(judged: ScoredTexts, names: Sequence[Any] | np.ndarray) -> dict[str, dict[str, Any]]:
    """Return the figures of each group of texts, by its name; the group with most texts first.

    names: the name of each text's group.
    """
    kinds, of_text, counts = np.unique(np.asarray(names), return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {str(kinds[group]): summarize(judged.of(of_text == group)) for group in order}


def bootstrap(judged: ScoredTexts, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the bits per byte of each system on each draw of authors, float64 (DRAWS,)."""
    kinds, of_text = np.unique(judged.authors, return_inverse=True)
    count, random = len(kinds), np.random.default_rng(seed)
    sums = np.stack(
        [np.bincount(of_text, cost, count) for cost in (judged.sizes, *judged.bits.values())]
    )
    drawn = np.stack(
        [
            sums @ np.bincount(random.integers(count, size=count), minlength=count)
            for _ in range(DRAWS)
        ],
        axis=1,
    )
    return {name: cost / drawn[0] for name, cost in zip(judged.bits, drawn[1:], strict=True)}


def interval(values: np.ndarray) -> list[float]:
    """Return the 95% interval of some draws, as its low and its high end."""
    return [round(float(value), 4) for value in np.percentile(values, PERCENTILES)]
