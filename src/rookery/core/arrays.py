"""What is asked of arrays here again and again, and numpy has no word for."""

import numpy as np


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The numbers [start, start + length) of each, behind each other; int64 (sum of lengths,)."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())


def among(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Whether each value is one of the known, which are sorted; bool as the values. Quick where few
    ask of many.
    """
    if not len(known):
        return np.zeros(values.shape, dtype=bool)
    return known[np.searchsorted(known, values).clip(max=len(known) - 1)] == values


def exchanged(known: np.ndarray, gone: np.ndarray, come: np.ndarray) -> np.ndarray:
    """The known, sorted and each once, without some and with others, which may be among the
    former.
    """
    left = np.delete(known, np.searchsorted(known, gone[among(gone, known)]))
    come = np.unique(come)
    come = come[~among(come, left)]
    return np.insert(left, np.searchsorted(left, come), come)
