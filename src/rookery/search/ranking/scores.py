"""Scores: the order of candidates, computed from counts by pure functions.

BM25 has its own k1 and b here. Posts are short: a word that is repeated says little, and a post of
thirty words is hardly less about its subject than one of ten. The text engine's fixed 1.2 and 0.75
suit long documents, so it only proposes candidates and the order is made here. The counts are read
from the index by `retrieve.py`.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rookery.core.protocols import UNMEASURED_WEIGHT

K1, B = 0.4, 0.2
"""Chosen on TREC Microblog 2011, checked on 2012."""


@dataclass(frozen=True)
class Statistics:
    """The counts of a whole collection for BM25.

    The number of posts, their average length in terms, and for each term the number of posts with
    it.
    """

    posts: int
    average_terms: float
    posts_with: Mapping[str, int]

    def idf(self, term: str) -> float:
        """Return ln(1 + (N - n + ½) / (n + ½)), the inverse document frequency of a term.

        Robertson and Zaragoza 2009; always positive, as in Lucene.
        """
        n = self.posts_with.get(term, 0)
        return math.log(1 + (self.posts - n + 0.5) / (n + 0.5))


def bm25(
    weights: Mapping[str, float], documents: Sequence[Sequence[str]], statistics: Statistics
) -> np.ndarray:
    """Return the BM25 score of each document (its terms) for weighted query terms.

    float64 of shape (len(documents),).
    """
    gains = {term: weight * statistics.idf(term) for term, weight in weights.items()}
    scores = np.zeros(len(documents))
    for place, terms in enumerate(documents):
        counts: dict[str, int] = {}
        for term in terms:
            if term in gains:
                counts[term] = counts.get(term, 0) + 1
        length = K1 * (1 - B + B * len(terms) / statistics.average_terms)
        scores[place] = sum(gains[t] * n * (K1 + 1) / (n + length) for t, n in counts.items())
    return scores


def even(terms: Sequence[str]) -> dict[str, float]:
    """Return equal weights that sum to 1, so that long and short queries have comparable scores."""
    return {term: 1 / len(terms) for term in terms}


FEEDBACK_POSTS, FEEDBACK_TERMS, FEEDBACK_SHARE, SHORT_QUERY_TERMS = 20, 20, 0.2, 4


def shared_terms(
    best: Sequence[Sequence[str]], scores: np.ndarray, statistics: Statistics
) -> dict[str, float]:
    """Return the terms that the best posts of a query share, with weights that sum to 1.

    Relevance feedback (after RM3, Abdul-Jaleel et al. 2004): people use other words for an event
    than the one who asks. Rare terms weigh more. Copies of a post count once. Terms that
    `statistics` does not know are left out.
    """
    shared: defaultdict[str, float] = defaultdict(float)
    distinct = {
        frozenset(terms): (terms, score)
        for terms, score in reversed(list(zip(best, scores, strict=True)))
    }
    for terms, score in distinct.values():
        for term in terms:
            if term in statistics.posts_with:
                shared[term] += float(score) / len(terms) * statistics.idf(term)
    top = sorted(shared.items(), key=lambda g: (-g[1], g[0]))[:FEEDBACK_TERMS]
    total = sum(gain for _, gain in top)
    return {term: gain / total for term, gain in top}


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
