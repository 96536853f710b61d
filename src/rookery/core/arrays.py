"""Array operations that several packages need and numpy lacks."""

import numpy as np


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the numbers [start, start + length) of every pair, one range after the other.

    The result is int64 of shape (sum of lengths,).
    """
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())


def among(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return whether each value is one of the `known` ones, as a bool array of the values' shape.

    `known` must be sorted. A binary search, so it is fast for few values and many known ones.
    """
    if not len(known):
        return np.zeros(values.shape, dtype=bool)
    return known[np.searchsorted(known, values).clip(max=len(known) - 1)] == values


def exchanged(known: np.ndarray, gone: np.ndarray, come: np.ndarray) -> np.ndarray:
    """Return `known` without the values in `gone` and with those in `come`, sorted and unique.

    `known` must be sorted and unique; `come` may overlap with it.
    """
    left = np.delete(known, np.searchsorted(known, gone[among(gone, known)]))
    come = np.unique(come)
    come = come[~among(come, left)]
    return np.insert(left, np.searchsorted(left, come), come)
