"""Scores: the order of candidates, computed from counts by pure functions.

BM25 has its own k1 and b here. Posts are short: a word that is repeated says little, and a post of
thirty words is hardly less about its subject than one of ten. The text engine's fixed 1.2 and 0.75
suit long documents, so it only proposes candidates and the order is made here. BM25 itself is in
`features.py`, over columns.
"""

from collections.abc import Mapping

import numpy as np

from rookery.core.protocols import UNMEASURED_WEIGHT

K1, B = 0.4, 0.2
"""Chosen on TREC Microblog 2011, checked on 2012."""


def idf(posts: int, posts_with: np.ndarray) -> np.ndarray:
    """Return ln(1 + (N - n + ½) / (n + ½)) of terms, the inverse document frequency, float64 (n,).

    Robertson and Zaragoza 2009; always positive, as in Lucene. posts_with: how many of the posts
    have each term; one of several stems counts for all of them at most.
    """
    n = np.minimum(posts_with, posts)
    return np.log1p((posts - n + 0.5) / (n + 0.5))


FEEDBACK_SHARE, SHORT_QUERY_TERMS = 0.2, 4


def feedback_share(query_terms: int) -> float:
    """Return how much feedback counts beside a query of a number of terms.

    It counts less beside a long query, which has most of the words already.
    """
    return FEEDBACK_SHARE * min(1.0, SHORT_QUERY_TERMS / query_terms)


def joined(
    words: Mapping[str, float], extra: Mapping[str, float], share: float
) -> dict[str, float]:
    """Return a query's own terms and those of feedback as one weighted query."""
    weights = {term: (1 - share) * weight for term, weight in words.items()}
    for term, weight in extra.items():
        weights[term] = weights.get(term, 0.0) + share * weight
    return weights


POST_TERMS = 8  # of a usual post


def vector_weight(stated: float, query_terms: int) -> float:
    """Return the weight of vectors beside a query, of what an embedder states.

    Worth is measured with whole posts as queries. Beside fewer terms than a post has, vectors weigh
    less, in proportion (TREC's queries of three words lose by the whole weight); but no less than
    what is never measured.
    """
    share = min(1.0, query_terms / POST_TERMS)
    return min(stated, max(UNMEASURED_WEIGHT, share * stated))


def blend(parts: Mapping[str, np.ndarray], feedback_share: float, weight: float) -> np.ndarray:
    """Return one score from the parts: BM25, with a share of feedback, and vectors by their weight.

    weight: of vectors, in [0, 1] (`vector_weight`).

    Words are scaled by the best candidate, vectors from the farthest to the nearest candidate, so
    that the blend does not depend on how an embedder spreads its cosines.
    """
    words = parts["bm25"]
    if "feedback" in parts:
        words = (1 - feedback_share) * words + feedback_share * parts["feedback"]
    words = words / (words.max() or 1.0)
    if "vector" not in parts:
        return words
    vector = parts["vector"]
    spread = vector.max() - vector.min()
    nearness = (vector - vector.min()) / spread if spread > 0 else np.zeros_like(vector)
    return (1 - weight) * words + weight * nearness


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the share of common elements, 0 for two empty sets."""
    return len(one & other) / (len(one | other) or 1)
