"""Ranking: scores from counts. Pure; what is counted is fetched by `retrieve.py`.

BM25 here has its own k1 and b. Posts are short: how often a word comes back says little, and a post
of thirty words is hardly less about its subject than one of ten. The text engine's fixed 1.2 and
0.75 are those of long documents, so it only proposes candidates and the order is made here.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

K1, B = 0.4, 0.2
"""Chosen on TREC Microblog 2011, checked on 2012."""


@dataclass(frozen=True)
class Statistics:
    """What BM25 needs of the whole collection: how many posts, their average length in terms, posts
    a term is in.
    """

    posts: int
    average_terms: float
    posts_with: Mapping[str, int]

    def idf(self, term: str) -> float:
        """ln(1 + (N - n + ½) / (n + ½)): Robertson and Zaragoza 2009, kept positive as Lucene
        does.
        """
        n = self.posts_with.get(term, 0)
        return math.log(1 + (self.posts - n + 0.5) / (n + 0.5))


def bm25(
    weights: Mapping[str, float], documents: Sequence[Sequence[str]], statistics: Statistics
) -> np.ndarray:
    """The BM25 score of each document (its terms) for weighted query terms, float64."""
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
    """Terms that weigh alike; the weights sum to 1, so that scores of long and short queries
    compare.
    """
    return {term: 1 / len(terms) for term in terms}


FEEDBACK_POSTS, FEEDBACK_TERMS, FEEDBACK_SHARE, SHORT_QUERY_TERMS = 20, 20, 0.2, 4


def shared_terms(
    best: Sequence[Sequence[str]], scores: np.ndarray, statistics: Statistics
) -> dict[str, float]:
    """The terms that the best posts of a query share, weighted by how much they tell; the weights
    sum to 1.

    Relevance feedback (after RM3, Abdul-Jaleel et al. 2004): people use other words for an event
    than the one who asks. Copies of a post count once. Terms that `statistics` does not know are
    left out.
    """
    shared: Counter[str] = Counter()
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
    """How much feedback counts beside a query of so many terms: a long one says itself what it is
    about.
    """
    return FEEDBACK_SHARE * min(1.0, SHORT_QUERY_TERMS / query_terms)


def joined(
    words: Mapping[str, float], extra: Mapping[str, float], share: float
) -> dict[str, float]:
    """A query's own terms and those of feedback, as one query."""
    weights = {term: (1 - share) * weight for term, weight in words.items()}
    for term, weight in extra.items():
        weights[term] = weights.get(term, 0.0) + share * weight
    return weights


VECTOR_SHARE = 0.1


def blend(parts: Mapping[str, np.ndarray], feedback_share: float) -> np.ndarray:
    """One score from the parts: BM25 first, feedback and vectors as helpers.

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
    return (1 - VECTOR_SHARE) * words + VECTOR_SHARE * nearness


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of common elements."""
    return len(one & other) / (len(one | other) or 1)
