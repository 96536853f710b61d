"""Find exactly all pairs of texts of at least a given Jaccard similarity.

This is the truth by which near-duplicate detection is measured (`bench_duplicates.py`). It uses
prefix filtering (Chaudhuri, Ganti, Kaushik 2006; PPJoin, Xiao et al. 2008): two sets that are this
similar must share one of their few rarest members, so only texts that do are compared.
"""

import itertools

import numpy as np

SHINGLE_CHARACTERS = 5


def similar_pairs(texts: list[str], least: float) -> np.ndarray:
    """Return the pairs of texts whose runs of five characters are at least this similar.

    int64 of shape (pairs, 2), the lower place first, ascending.
    """
    members, offsets = _sets(texts)
    sizes = np.diff(offsets)
    found = _sharing(members, offsets, sizes - np.ceil(least * sizes - 1e-9).astype(np.int64) + 1)
    a, b = found.T
    found = found[np.minimum(sizes[a], sizes[b]) >= least * np.maximum(sizes[a], sizes[b]) - 1e-9]
    sets = [members[start:end] for start, end in itertools.pairwise(offsets)]
    kept = [_jaccard(sets[i], sets[j]) >= least - 1e-12 for i, j in found.tolist()]
    return found[np.array(kept, dtype=bool)] if len(found) else found


def _sets(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the texts' sets of runs one after another, and where each set starts.

    Each set is ordered from its rarest to its most common run.
    """
    runs, owner = [], []
    for place, text in enumerate(texts):
        own = {
            text[i : i + SHINGLE_CHARACTERS]
            for i in range(max(1, len(text) - SHINGLE_CHARACTERS + 1))
        }
        runs += own
        owner += [place] * len(own)
    _, number, count = np.unique(np.array(runs), return_inverse=True, return_counts=True)
    rank = np.empty(len(count), dtype=np.int64)
    rank[np.argsort(count, kind="stable")] = np.arange(len(count))
    owner = np.array(owner, dtype=np.int64)
    order = np.lexsort((rank[number], owner))
    return rank[number][order], np.searchsorted(owner, np.arange(len(texts) + 1))


def _sharing(members: np.ndarray, offsets: np.ndarray, prefix: np.ndarray) -> np.ndarray:
    """Return the pairs of sets that have a member in common among the first `prefix` of each."""
    places = np.arange(len(members)) - np.repeat(offsets[:-1], np.diff(offsets))
    owner = np.repeat(np.arange(len(prefix)), np.diff(offsets))
    first = places < prefix[owner]
    order = np.argsort(members[first], kind="stable")
    owner, members = owner[first][order], members[first][order]
    found = [np.empty(0, dtype=np.int64)]
    for lag in range(1, len(members)):
        same = np.flatnonzero(members[lag:] == members[:-lag])
        if not len(same):
            break
        found.append(owner[same] << 32 | owner[same + lag])  # the owners of a member ascend
        if lag % 64 == 0:
            found = [np.unique(np.concatenate(found))]
    packed = np.unique(np.concatenate(found))
    return np.stack([packed >> 32, packed & 0xFFFFFFFF], axis=1)


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    shared = np.intersect1d(a, b, assume_unique=True).size
    return shared / (len(a) + len(b) - shared)
