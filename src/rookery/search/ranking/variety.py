"""Variety: what keeps one author, and posts made of tags, from filling a page of Best.

Pure. Copies of one text are folded, and hidden posts left out, before (`search.py`).
"""

from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Protocol, TypeVar

import numpy as np

from rookery.search.engine.columns import Columns

MOST_TAGS = 4
"""A post with more tags may be stuffed."""
_STUFFED_SHARE = 1 / 3  # of its words
_DAMPING = 0.5  # of its score


class Authored(Protocol):
    """Something that one author wrote."""

    @property
    def author(self) -> Hashable:
        """Return who wrote it."""


P = TypeVar("P", bound=Authored)


def most_of_one(limit: int) -> int:
    """Return how many posts of one author a page of `limit` posts has at most: a third.

    >>> [most_of_one(n) for n in (1, 3, 10, 20)]
    [1, 1, 3, 6]
    """
    return max(1, limit // 3)


def varied(ranked: Iterable[P], limit: int, most: int) -> tuple[list[P], bool, bool]:
    """Return a page of `limit` posts, whether there are more, and whether it had to be filled up.

    At most `most` of the page are of one author; where that does not fill it, what was passed over
    follows in its order. Only as much of `ranked` is read as it takes to know.
    """
    first: list[P] = []
    passed: list[P] = []
    of_author: Counter[Hashable] = Counter()
    for post in ranked:
        of_author[post.author] += 1
        is_within = of_author[post.author] <= most
        (first if is_within else passed).append(post)
        if len(first) > limit:
            break
    is_filled_up = len(first) < limit and bool(passed)
    return (first + passed)[:limit], len(first) + len(passed) > limit, is_filled_up


def stuffing(columns: Columns, ordinals: np.ndarray) -> np.ndarray:
    """Return which ordinals are stuffed with tags, bool (n,); a tag is one of a post's words."""
    tags = columns.tags[ordinals]
    return (tags > MOST_TAGS) & (tags > _STUFFED_SHARE * columns.lengths_of(ordinals))


def damping(scores: np.ndarray, is_stuffed: np.ndarray) -> np.ndarray:
    """Return what to add to the scores of posts so that stuffed ones lose half, (posts,)."""
    return np.where(is_stuffed, -_DAMPING * np.abs(scores), 0.0)
