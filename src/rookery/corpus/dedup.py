"""Duplicates: equal texts, floods of one template, and near duplicates. The earliest post represents the rest.

Posts come sorted by time. Near duplicates are found by MinHash (Broder 1997) with banding (Leskovec,
Rajaraman, Ullman, Mining of Massive Datasets, 3.4), and every pair is checked exactly: nothing is
merged on an estimate. Recall is a matter of chance and is measured in the tests.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from rookery.corpus.minhash import HASHES, SHINGLE_CHARACTERS, signatures

EXACT_DUPLICATE = "exact_duplicate"
NEAR_DUPLICATE = "near_duplicate"
TEMPLATE_FLOOD = "template_flood"
REASONS = (EXACT_DUPLICATE, TEMPLATE_FLOOD, NEAR_DUPLICATE)

FLOOD_KEEPS = 3
ALIKE = 0.8  # least Jaccard similarity of near duplicates
BAND_ROWS = 4  # 16 bands of 4: a pair of similarity 0.8 is missed by all with probability 0.0002
NEIGHBOURS = 8  # in a bucket of many posts, each is compared with the first and this many before it
MARGIN = 0.2  # four standard deviations of the estimate from 64 hashes at 0.8
BATCH_TEXTS = 65_536


def first_equal(keys: pa.Array) -> np.ndarray:
    """int64 (keys,): the place of the first key equal to each, its own if none came before."""
    codes = keys.dictionary_encode().indices.to_numpy()
    return np.unique(codes, return_index=True)[1][codes]


def floods(authors: pa.Array, templates: pa.Array) -> np.ndarray:
    """bool (posts,): true from an author's fourth post of one template on."""
    author = authors.dictionary_encode().indices.to_numpy().astype(np.int64)
    template = templates.dictionary_encode().indices.to_numpy()
    order = np.argsort(author << 32 | template, kind="stable")
    group = (author << 32 | template)[order]
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    place = np.arange(len(group)) - np.repeat(starts, np.diff(starts, append=len(group)))
    flooded = np.zeros(len(group), dtype=bool)
    flooded[order] = place >= FLOOD_KEEPS
    return flooded


def near_duplicates(keys: pa.Array, advance: Callable[[int], None] = lambda n: None) -> np.ndarray:
    """int64 (keys,): for each text the place of the earliest one that it belongs to, its own if it is alone.

    Two texts are joined when the Jaccard similarity of their five-character runs is at least
    0.8, and so are texts joined through others (connected components).
    """
    parts = []
    for start in range(0, len(keys), BATCH_TEXTS):
        parts.append(signatures(keys.slice(start, BATCH_TEXTS)))
        advance(len(parts[-1]))
    hashes = np.concatenate(parts) if parts else np.empty((0, HASHES), np.uint32)
    pairs = _candidates(hashes)
    return _components(keys, pairs[_alike(hashes, pairs, ALIKE - MARGIN)])


def jaccard(a: str, b: str) -> float:
    """The similarity of two texts: shared runs of five characters over all their runs."""
    runs_a, runs_b = _runs(a), _runs(b)
    shared = len(runs_a & runs_b)
    return shared / (len(runs_a) + len(runs_b) - shared)


def _candidates(hashes: np.ndarray) -> np.ndarray:
    """int64 (pairs, 2), lower place first: texts whose signatures agree on all of a band."""
    found = [np.empty(0, dtype=np.int64)]
    for band in range(0, HASHES, BAND_ROWS):
        packed = np.ascontiguousarray(hashes[:, band : band + BAND_ROWS]).view(np.uint64)
        mixed = packed[:, 0] * np.uint64(0x9E3779B97F4A7C15) ^ packed[:, 1]
        found.append(_pairs_of_band(mixed))
    both = np.unique(np.concatenate(found))
    return np.stack([both >> 32, both & 0xFFFFFFFF], axis=1)


def _pairs_of_band(band: np.ndarray) -> np.ndarray:
    """Pairs, each packed in an int64, of texts in one bucket: each with its neighbours and with the first."""
    order = np.argsort(band, kind="stable")
    bucket = band[order]
    pairs = []
    for lag in range(1, NEIGHBOURS + 1):
        same = np.flatnonzero(bucket[lag:] == bucket[:-lag])
        pairs.append(order[same] << 32 | order[same + lag])
    first = np.flatnonzero(np.concatenate([[True], bucket[1:] != bucket[:-1]]))[: len(bucket)]
    firsts = np.repeat(order[first], np.diff(first, append=len(bucket)))
    pairs.append((firsts << 32 | order)[firsts != order])
    return np.unique(np.concatenate(pairs))


def _alike(hashes: np.ndarray, pairs: np.ndarray, least: float) -> np.ndarray:
    """bool (pairs,): whether the estimated similarity is at least `least`."""
    kept = np.zeros(len(pairs), dtype=bool)
    for start in range(0, len(pairs), BATCH_TEXTS):
        a, b = pairs[start : start + BATCH_TEXTS].T
        kept[start : start + BATCH_TEXTS] = (hashes[a] == hashes[b]).mean(axis=1) >= least
    return kept


def _components(keys: pa.Array, pairs: np.ndarray) -> np.ndarray:
    """Union-find over the pairs that pass the exact check; the lowest place is the root."""
    root = np.arange(len(keys))

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    for a, b in pairs.tolist():
        low, high = sorted((find(a), find(b)))
        if low != high and jaccard(keys[a].as_py(), keys[b].as_py()) >= ALIKE:
            root[high] = low
    while not np.array_equal(above := root[root], root):
        root = above
    return root


def _runs(text: str) -> set[str]:
    return {text[i : i + SHINGLE_CHARACTERS] for i in range(max(1, len(text) - SHINGLE_CHARACTERS + 1))}
