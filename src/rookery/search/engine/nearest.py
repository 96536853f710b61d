"""The nearest posts in meaning, by comparing every vector that may be found.

A question's vector is rounded as those of the posts are, so that bytes are multiplied: a million
posts take 20 ms, under any filter. The nearest ones, and as many again, are then compared with the
vector as it is. `docs/decisions/0009` says why there is no approximate index.

Not here: which posts a filter leaves (`retrieve.py`), and their order on a page (`ranking/`).
"""

from collections.abc import Iterator

import numkong
import numpy as np

from rookery.search.engine.columns import Columns, quantised
from rookery.search.engine.reader import View

NEIGHBOURS = 200
"""How many posts near in meaning are candidates."""

_BLOCK_POSTS = 1 << 18  # compared at once: two megabytes of products


def nearest(
    view: View, vector: np.ndarray, among: np.ndarray, count: int = NEIGHBOURS
) -> np.ndarray:
    """Return the ordinals whose vectors are nearest to one of shape (dimensions,), nearest first.

    among: the ordinals that are compared, in rising order. Of two that are as near the newer one
    comes first. Scope is asked of the nearest ones only, since a reader's muted words take longer
    than the vectors.
    """
    if not vector.any():
        return np.zeros(0, np.int64)
    blocks = _compared(view, quantised(vector), among)
    found = [_first_in_scope(view, *block, 2 * count) for block in blocks]
    ordinals = np.concatenate([np.zeros(0, np.int64), *found])
    # rounded, so that no order depends on the last bit of a sum
    cosines = cosines_of(view.columns, vector, ordinals).round(5)
    return ordinals[np.lexsort((-ordinals, -cosines))[:count]]


def _compared(
    view: View, asked: np.ndarray, among: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield blocks of ordinals, each with the products of their vectors with another."""
    for start in range(0, len(among), _BLOCK_POSTS):
        block = among[start : start + _BLOCK_POSTS]
        first, last = int(block[0]), int(block[-1])
        if last - first < 2 * len(block):  # the few between cost less than a copy of the others
            yield block, _products(asked, view.columns.vectors[first : last + 1])[block - first]
        else:
            yield block, _products(asked, view.columns.vectors[block])


def _products(asked: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.asarray(numkong.cdist(asked[None], vectors, metric="dot")).ravel()


def _first_in_scope(
    view: View, ordinals: np.ndarray, products: np.ndarray, count: int
) -> np.ndarray:
    """Return the `count` ordinals with the largest products that are in scope."""
    most = 2 * count
    while True:
        best = _largest(ordinals, products, most)
        best = best[view.in_scope(ordinals[best])]
        if len(best) >= count or most >= len(ordinals):
            return ordinals[best[:count]]
        most *= 4


def _largest(ordinals: np.ndarray, products: np.ndarray, most: int) -> np.ndarray:
    """Return the places of the largest products, largest first; of equal ones all or none.

    So what is returned does not depend on posts that come after it.
    """
    places = np.arange(len(products))
    if most < len(products):
        least = np.partition(products, -most)[-most]
        places = np.flatnonzero(products >= least)
    return places[np.lexsort((-ordinals[places], -products[places]))]


def cosines_of(columns: Columns, vector: np.ndarray, ordinals: np.ndarray) -> np.ndarray:
    """Return the cosine of each ordinal's vector with a vector, float32 (n,)."""
    return columns.vectors[ordinals].astype(np.float32) @ (vector / 127).astype(np.float32)
