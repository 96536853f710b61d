"""The mixture: how much of each language, year or source a corpus takes, by weights.

    rookery corpus build --set mixture.language:en=0.5 --set mixture.source:reddit=2

A document's weight is the product of the weights that match it. Below one, it is the probability
that the document is taken at all; above one, it is how often the document is repeated in training.
Validation documents are never repeated. The random choice is a hash of the document's id, so the
same document is taken in every build, and one that is taken at weight 0.2 is also taken at 0.5.
"""

import re
from collections.abc import Mapping

import numpy as np

from rookery.core.errors import UsageError

MIXTURE = "mixture"
KINDS = ("language", "year", "source")
UNKNOWN, UNKNOWN_CODE = "unknown", -1  # `language:unknown` matches documents without a language
# Muennighoff et al. 2023: text repeated more than 4 times teaches less, more than 16 times nothing.
MOST_COPIES = 16


def check(weights: Mapping[str, float]) -> None:
    """Raise `UsageError` for a key that does not exist or a weight out of range."""
    for key, weight in weights.items():
        kind, _, value = key.partition(":")
        if kind not in KINDS or not value or (kind == "year" and not re.fullmatch(r"\d{4}", value)):
            raise UsageError(
                f"mixture knows no {key!r}",
                hint="A key is like language:en, year:2016 or source:reddit; its value is a weight",
            )
        if not 0 <= weight <= MOST_COPIES:
            raise UsageError(
                f"the weight of {key} must lie between 0 and {MOST_COPIES}, not be {weight}"
            )


def weigh(
    weights: Mapping[str, float], coded: Mapping[str, tuple[np.ndarray, list[str]]], documents: int
) -> np.ndarray:
    """Return the weight of each document, as float64 (documents,); 1 where nothing matches.

    coded: for each of `KINDS` the documents' codes, and the values that the codes mean; -1 is
    unknown.
    """
    total = np.ones(documents)
    for key, weight in weights.items():
        kind, _, value = key.partition(":")
        codes, values = coded[kind]
        code = (
            UNKNOWN_CODE if value == UNKNOWN else values.index(value) if value in values else None
        )
        total[codes == code] *= weight
    return np.minimum(total, MOST_COPIES)


def years(created: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the years (UTC) of times in microseconds, as codes and the years that they mean."""
    values, codes = np.unique(
        created.view("datetime64[us]").astype("datetime64[Y]"), return_inverse=True
    )
    return codes, values.astype(str).tolist()


def copies(weight: np.ndarray, id_hashes: np.ndarray, seed: int) -> np.ndarray:
    """Return how often each document is taken, as int64 (documents,); zero drops it.

    That is the whole part of the weight, and one more with the probability of the remainder.
    """
    return np.floor(weight + chance(id_hashes, seed)).astype(np.int64)


def chance(hashes: np.ndarray, seed: int) -> np.ndarray:
    """Return for each hash a number in [0, 1) that depends on it and the seed alone.

    float64 (hashes,), by the finaliser of splitmix64.
    """
    mixed = hashes.astype(np.uint64) + np.random.default_rng(seed).integers(
        1 << 64, dtype=np.uint64
    )
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    # The last factor keeps the largest hashes, which round to 2⁶⁴, below 1.
    return (mixed ^ (mixed >> np.uint64(31))) / np.float64(1 << 64) * (1 - 2**-53)
