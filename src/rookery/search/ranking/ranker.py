"""The ranker: one score of a candidate's features, by weights that were learned.

Linear, so that each part of a score can be shown. The weights move with the query's length: three
words rarely say all that is meant, and a text of thirty is its own best description. Up to four
terms the short query's weights hold, from twelve on the long one's, and between them a mixture.

`shipped()` are the weights that come with the package; the file says from what they were learned.
Where texts are no posts but documents, the learned order is not used (`suits`). Not here: the
features (`features.py`), and learning (`fitting.py`, `learn.py`).
"""

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rookery.core.errors import DataError, UsageError
from rookery.search.ranking.features import FEATURES

FORMAT = 1
SHIPPED = Path(__file__).with_name("weights.json")
SHORT_TERMS, LONG_TERMS = 4, 12
"""The terms of a query up to which, and from which on, it counts as short and as long."""

_POST_TERMS = 100  # in the 500 characters of a Mastodon post, the longest of the usual limits


@dataclass(frozen=True)
class Weights:
    """The weights of `FEATURES` for short and for long queries, float64 (features,) each.

    provenance: from what, when and how they were learned, as the file tells it.
    """

    short: np.ndarray
    long: np.ndarray
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def at(self, terms: int) -> np.ndarray:
        """Return the weights for a query of a number of terms."""
        share = length_share(terms)
        return (1 - share) * self.short + share * self.long

    def parts(self, features: np.ndarray, terms: int) -> np.ndarray:
        """Return what each feature adds to each score, float64 of the shape of `features`."""
        return features * self.at(terms)

    def scores(self, features: np.ndarray, terms: int) -> np.ndarray:
        """Return the scores of candidates, float64 (n,), for features (n, len(FEATURES)).

        A sum row by row, so that a score does not depend on how many candidates there are.
        """
        return np.einsum("nf,f->n", features, self.at(terms))


def length_share(terms: int) -> float:
    """Return how much a query counts as long, from 0 to 1."""
    return min(1.0, max(0.0, (terms - SHORT_TERMS) / (LONG_TERMS - SHORT_TERMS)))


def suits(average_terms: float) -> bool:
    """Return whether texts of this mean length are posts, whose order the ranker has learned."""
    return average_terms <= _POST_TERMS


@functools.cache
def shipped() -> Weights:
    """Return the weights that come with the package."""
    return read_weights(SHIPPED)


def read_weights(path: Path) -> Weights:
    """Read weights that `rookery search learn` wrote.

    A feature that the file does not name weighs nothing. Raises `UsageError` if there is no such
    file, `DataError` if it holds no weights, or those of a feature that does not exist.
    """
    if not path.is_file():
        raise UsageError(
            "there is no such file", where=path, hint="`rookery search learn` makes it"
        )
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["format"] != FORMAT:
            raise DataError(
                f"weights of format {plain['format']}, this version reads {FORMAT}", where=path
            )
        return _weights(plain["weights"], plain.get("learned", {}), path)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"no weights of a ranker: {error!r}", where=path, hint="`rookery search learn` makes it"
        ) from None


def _weights(plain: Mapping[str, Any], provenance: Mapping[str, Any], path: Path) -> Weights:
    unknown = sorted(set(plain) - set(FEATURES))
    if unknown:
        raise DataError(
            f"weights of an unknown feature: {', '.join(unknown)}",
            where=path,
            hint=f"Known: {', '.join(FEATURES)}",
        )
    pairs = {name: (float(one["short"]), float(one["long"])) for name, one in plain.items()}
    if not all(math.isfinite(value) for pair in pairs.values() for value in pair):
        raise DataError("a weight is not a number", where=path)
    table = np.array([pairs.get(name, (0.0, 0.0)) for name in FEATURES])
    return Weights(table[:, 0], table[:, 1], provenance)


def weights_json(weights: Weights) -> str:
    """Return the contents of a file of weights."""
    rounded = zip(FEATURES, weights.short.tolist(), weights.long.tolist(), strict=True)
    plain = {name: {"short": round(s, 4), "long": round(g, 4)} for name, s, g in rounded}
    file = {"format": FORMAT, "weights": plain, "learned": dict(weights.provenance)}
    return json.dumps(file, indent=1) + "\n"
