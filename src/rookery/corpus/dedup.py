"""Duplicates: equal texts, floods of one template, and near duplicates.

The earliest post represents the others. Posts come sorted by time and as numbers only: 64-bit
hashes of keys, authors and templates, and MinHash signatures of the texts (`minhash.py`). Near
duplicates are found by MinHash (Broder 1997) with banding (Leskovec, Rajaraman, Ullman, Mining of
Massive Datasets, 3.4), and every pair is then checked exactly on the texts themselves: nothing is
merged on an estimate. Clusters are stars: each dropped post is itself similar to its
representative, so that no chain joins texts that are not. Recall is a matter of chance and is
measured in the tests.

Not here: the order of the steps (`sieve.py`).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from rookery.corpus.minhash import BANDS, SHINGLE_CHARACTERS

EXACT_DUPLICATE = "exact_duplicate"
NEAR_DUPLICATE = "near_duplicate"
TEMPLATE_FLOOD = "template_flood"

FLOOD_KEEPS = 3
ALIKE = 0.8  # least Jaccard similarity of near duplicates
NEIGHBOURS = 8  # in a bucket of many posts, each is compared with the first and this many before it
MARGIN = 0.17  # three standard deviations of the estimate from 48 hashes at 0.8
BATCH_PAIRS = 262_144
THREADS = 2  # sorting releases Python's lock; a band at 12 million posts takes 300 MB meanwhile


def earliest(keys: np.ndarray) -> np.ndarray:
    """Return the first place of each key, as int64 (keys,)."""
    order, starts, sizes = _groups(keys)
    first = np.empty(len(keys), dtype=np.int64)
    first[order] = np.repeat(order[starts], sizes)
    return first


def floods(authors: np.ndarray, templates: np.ndarray) -> np.ndarray:
    """Return bool (posts,): true for an author's fourth post of one template and all later ones."""
    order, starts, sizes = _groups(authors * np.uint64(0x9E3779B97F4A7C15) ^ templates)
    flooded = np.zeros(len(order), dtype=bool)
    flooded[order] = np.arange(len(order)) - np.repeat(starts, sizes) >= FLOOD_KEEPS
    return flooded


def near_duplicates(
    band: Callable[[int], np.ndarray],
    sketches: np.ndarray,
    texts: Callable[[np.ndarray], Sequence[str]],
) -> np.ndarray:
    """Return for each post the place of its representative, as int64 (posts,).

    A post that represents itself has its own place. It is represented by an earlier post that is
    kept if the Jaccard similarity of their five-character runs is at least 0.8.

    band: returns the band of a number, uint64 (posts,); it is called from several threads.
    sketches: uint8 (posts, hashes). texts: returns the keys at some places.
    """
    pairs = np.empty(0, dtype=np.int64)
    with ThreadPoolExecutor(THREADS) as pool:
        for found in pool.map(lambda number: _pairs_of_band(band(number)), range(BANDS)):
            pairs = _distinct(np.concatenate([pairs, found]))
    pairs = pairs[_alike(sketches, pairs, ALIKE - MARGIN)]
    low, high = pairs >> 32, pairs & 0xFFFFFFFF
    # Texts are fetched only for the posts of the pairs that are left, a small part of all.
    places = _distinct(np.concatenate([low, high]))
    order = np.lexsort((low, high))
    low, high = (np.searchsorted(places, side)[order] for side in (low, high))
    representative = np.arange(len(sketches))
    representative[places] = places[_stars(texts(places), low, high)]
    return representative


def jaccard(a: str, b: str) -> float:
    """Return the Jaccard similarity of two texts: shared runs of five characters over all runs."""
    return _similarity(_runs(a), _runs(b))


def _stars(texts: Sequence[str], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return each text's representative: the first kept text that it is similar to, or itself.

    The pairs (low, high) come in the order of time of their later text.
    """
    representative = list(range(len(texts)))
    runs = lru_cache(maxsize=20_000)(lambda place: _runs(texts[place]))
    for a, b in zip(low.tolist(), high.tolist(), strict=True):
        both_kept = representative[a] == a and representative[b] == b
        if both_kept and _similarity(runs(a), runs(b)) >= ALIKE:
            representative[b] = a
    return np.array(representative, dtype=np.int64)


def _pairs_of_band(band: np.ndarray) -> np.ndarray:
    """Return the pairs of texts in one bucket: each text with its neighbours and with the first.

    A pair is packed in an int64: the earlier place in the upper half, the later in the lower.
    """
    order, starts, sizes = _groups(band)
    many = np.repeat(sizes > 1, sizes)
    order, bucket, firsts = order[many], band[order[many]], np.repeat(order[starts], sizes)[many]
    pairs = [(firsts << 32 | order)[firsts != order]]
    for lag in range(1, NEIGHBOURS + 1):
        same = np.flatnonzero(bucket[lag:] == bucket[:-lag])
        pairs.append(order[same] << 32 | order[same + lag])
    return _distinct(np.concatenate(pairs))


def _alike(sketches: np.ndarray, pairs: np.ndarray, least: float) -> np.ndarray:
    """Return bool (pairs,): whether the estimated similarity is at least `least`."""
    kept = np.zeros(len(pairs), dtype=bool)
    for start in range(0, len(pairs), BATCH_PAIRS):
        part = pairs[start : start + BATCH_PAIRS]
        equal = sketches[part >> 32] == sketches[part & 0xFFFFFFFF]
        kept[start : start + BATCH_PAIRS] = (
            equal.sum(axis=1, dtype=np.int16) >= least * equal.shape[1]
        )
    return kept


def _groups(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an order that puts equal keys together, where each group starts, and the sizes.

    Within a group the earlier places come first.
    """
    # Several times faster than a stable sort, which only groups of two or more need.
    order = np.argsort(keys)
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))[: len(keys)]
    sizes = np.diff(starts, append=len(keys))
    many = np.flatnonzero(np.repeat(sizes > 1, sizes))
    group = np.repeat(np.arange(len(starts)), sizes)[many]
    order[many] = order[many[np.lexsort((order[many], group))]]
    return order, starts, sizes


def _distinct(values: np.ndarray) -> np.ndarray:
    """Return the values sorted and each once; `np.unique` hashes, which is slower for integers."""
    values = np.sort(values)
    return values[np.concatenate([[True], values[1:] != values[:-1]])[: len(values)]]


def _similarity(a: set[str], b: set[str]) -> float:
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


def _runs(text: str) -> set[str]:
    return {
        text[i : i + SHINGLE_CHARACTERS] for i in range(max(1, len(text) - SHINGLE_CHARACTERS + 1))
    }
