"""Array operations that several packages need, and numpy and Arrow lack."""

from collections.abc import Mapping, Set

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


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


def is_among(names: pa.Array, known: Set[str]) -> pa.Array:
    """Return whether each name is one of the known ones, as bool.

    Arrow puts the known ones into a table at every call. Where they are more than the names, each
    name is looked up in the set that is there already.
    """
    if len(known) <= len(names):
        return pc.is_in(names, pa.array(known, pa.string()))
    return pa.array([name in known for name in names.to_pylist()], pa.bool_())


def looked_up(names: pa.Array, values: Mapping[str, str]) -> pa.Array:
    """Return the value of each name, null for a name that has none."""
    if not values:  # the common case
        return pa.nulls(len(names), pa.string())
    if len(values) <= len(names):
        place = pc.index_in(names, pa.array(values.keys(), pa.string()))
        return pc.take(pa.array(values.values(), pa.string()), place)
    return pa.array(map(values.get, names.to_pylist()), pa.string())
