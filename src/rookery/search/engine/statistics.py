"""Statistics: the counts of a whole collection that BM25 needs, by hashed term.

They count no post that may not be found, so that a hidden post leaves no trace in the scores of
others. `Counts` holds them in memory, for judged collections and tests; a live index asks its text
engine instead.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rookery.core.arrays import among
from rookery.search.engine.columns import Columns


class Statistics(Protocol):
    """The counts of the posts of a collection that may be found."""

    @property
    def posts(self) -> int:
        """Return how many posts there are."""

    @property
    def average_terms(self) -> float:
        """Return how many terms a post has on average; 0 if there are no posts."""

    def posts_with(self, terms: np.ndarray) -> np.ndarray:
        """Return how many posts have each term, int64 (n,), for hashes, uint32 (n,)."""


@dataclass(frozen=True)
class Counts:
    """The counts of columns in memory. known: hashes, sorted; counts: how many posts have each."""

    posts: int
    average_terms: float
    known: np.ndarray
    counts: np.ndarray

    def posts_with(self, terms: np.ndarray) -> np.ndarray:
        """Return how many posts have each term, int64 (n,)."""
        if not len(self.known):
            return np.zeros(len(terms), np.int64)
        places = np.searchsorted(self.known, terms).clip(max=len(self.known) - 1)
        return np.where(among(terms, self.known), self.counts[places], 0)


def counts_of(columns: Columns, hidden: np.ndarray | None = None) -> Counts:
    """Return the counts of all posts of some columns but those of the `hidden` ordinals."""
    counted = np.arange(columns.posts)
    if hidden is not None:
        counted = np.delete(counted, hidden)
    terms, owners = columns.terms_of(counted)
    distinct = np.unique(terms.astype(np.uint64) << np.uint64(32) | owners.astype(np.uint64))
    known, counts = np.unique((distinct >> np.uint64(32)).astype(np.uint32), return_counts=True)
    return Counts(len(counted), len(terms) / max(1, len(counted)), known, counts.astype(np.int64))
