"""Fitting: the weights of a ranker from candidates whose grades are known.

LambdaRank (Burges, Ragno and Le 2006) with a linear score: for each pair of candidates of one query
the loss is ln(1 + e^(worse - better)), times what nDCG at 10 loses if the two change places in the
order as it is now. Each round takes a Newton step on this loss, the places fixed, with a quadratic
penalty, so that few queries can say little. Nothing is drawn: equal input gives equal weights.

Pure functions. Where the judged candidates come from, and how strong the penalty is, is in
`search/learn.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rookery.search.ranking.features import FEATURES
from rookery.search.ranking.ranker import Weights, length_share

_AT = 10  # places that nDCG looks at
_ROUNDS = 8
_LEAST_DEVIATION = 0.1
_NO_LESS = ("bm25", "coverage", "order", "exact", "vector", "engagement")
_NO_MORE = ("tags", "mentions", "repost")
_STEP = 0.7  # of a Newton step: places change meanwhile


@dataclass(frozen=True)
class JudgedCandidates:
    """The candidates of a judged query, best by BM25 first.

    features: (n, len(FEATURES)); grades: (n,), 0 for what is not judged; terms: of the query.
    ideal: the discounted gain of the best order of all that is judged, found or not; not 0.
    """

    features: np.ndarray
    grades: np.ndarray
    terms: int
    ideal: float

    def ndcg(self, weights: Weights) -> float:
        """Return nDCG at 10 of the order that weights give; of equals the earlier comes first."""
        order = np.argsort(-weights.scores(self.features, self.terms), kind="stable")[:_AT]
        return float(self.grades[order] @ _discounts(len(order))) / self.ideal


def ideal_gain(grades: Sequence[int]) -> float:
    """Return the discounted gain of the best order of some grades, at 10."""
    best = np.sort(np.maximum(np.asarray(grades, float), 0))[::-1][:_AT]
    return float(best @ _discounts(len(best)))


def fit(collections: Sequence[Sequence[JudgedCandidates]], penalty: float) -> Weights:
    """Return the weights that order judged candidates best; each collection counts the same.

    penalty: of a squared weight, features scaled to a standard deviation of 1 among the candidates
    of a query. A feature that never differs gets no weight.
    """
    scale = _scale([query for queries in collections for query in queries])
    problems = [
        _Problem(query, scale, 1 / len(queries)) for queries in collections for query in queries
    ]
    weights = np.zeros(2 * len(FEATURES))
    weights[FEATURES.index("bm25")] = 1.0
    for _ in range(_ROUNDS):
        gradient, curvature = penalty * weights, penalty * np.eye(len(weights))
        for problem in problems:
            problem.add_to(gradient, curvature, weights)
        weights = _signed(weights - _STEP * np.linalg.solve(curvature, gradient))
    short, more = np.split(weights, 2)
    return Weights(short / scale, (short + more) / scale)


def _signed(weights: np.ndarray) -> np.ndarray:
    """Return weights of which none has a sign that `_NO_LESS` and `_NO_MORE` forbid.

    What few judged queries say against sense (that a post with more of the query is worse, or one
    with more tags better) would not hold on other posts.
    """
    short, more = np.split(weights, 2)
    low = np.where(np.isin(FEATURES, _NO_LESS), 0.0, -np.inf)
    high = np.where(np.isin(FEATURES, _NO_MORE), 0.0, np.inf)
    short, long = short.clip(low, high), (short + more).clip(low, high)
    return np.concatenate([short, long - short])


def _scale(queries: Sequence[JudgedCandidates]) -> np.ndarray:
    """Return the deviation of each feature among the candidates of a query, but no less than .1.

    A feature that these posts hardly show must not get a weight that rules where posts do show it.
    """
    variances = [query.features.var(axis=0) for query in queries if len(query.features)]
    return np.maximum(np.sqrt(np.mean(variances, axis=0)), _LEAST_DEVIATION)


class _Problem:
    """What one query asks of the weights: of the short ones, and what long ones add to them."""

    def __init__(self, query: JudgedCandidates, scale: np.ndarray, share: float) -> None:
        scaled = query.features / scale
        self._inputs = np.hstack([scaled, length_share(query.terms) * scaled])
        self._better = np.flatnonzero(query.grades > 0)
        gains = np.maximum(0, query.grades[self._better, None] - query.grades[None, :])
        self._gains = gains * share / query.ideal

    def add_to(self, gradient: np.ndarray, curvature: np.ndarray, weights: np.ndarray) -> None:
        """Add the first and second derivatives of this query's loss at some weights."""
        x, better = self._inputs, self._better
        scores = x @ weights
        discounts = np.zeros(len(scores))
        top = np.argsort(-scores, kind="stable")[:_AT]
        discounts[top] = _discounts(len(top))
        matter = self._gains * np.abs(discounts[better, None] - discounts[None, :])
        wrong = 1 / (1 + np.exp(np.clip(scores[better, None] - scores[None, :], -50, 50)))
        pull, bend = matter * wrong, matter * wrong * (1 - wrong)
        gradient += x.T @ pull.sum(axis=0) - x[better].T @ pull.sum(axis=1)
        cross = x[better].T @ bend @ x
        curvature += (x.T * bend.sum(axis=0)) @ x - cross - cross.T
        curvature += (x[better].T * bend.sum(axis=1)) @ x[better]


def _discounts(places: int) -> np.ndarray:
    return 1 / np.log2(np.arange(2, places + 2))
