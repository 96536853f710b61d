"""Measures of a ranking against judgments, as trec_eval defines them.

A *run* is the ids that a system returned for one query, best first. *Judged* has the grade of each
judged id; an id that is not judged counts as 0, and so does a query for which nothing was found.
Queries without any relevant id measure nothing and are left out by `evaluate.py`. These are pure
functions; the runs are made in `evaluate.py`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_SAMPLES, _SEED = 10_000, 0  # of the bootstrap: equal differences give equal intervals


@dataclass(frozen=True)
class Comparison:
    """A mean difference over queries, its interval of 95%, and p, two-sided, that there is none."""

    difference: float
    low: float
    high: float
    p: float


def ndcg(run: Sequence[str], judged: Mapping[str, int], at: int = 10) -> float:
    """Return the normalised discounted cumulative gain, with the grade as gain.

    Järvelin and Kekäläinen 2002; trec_eval's ndcg_cut.
    """
    ideal = _discounted(sorted((g for g in judged.values() if g > 0), reverse=True)[:at])
    return _discounted([max(0, judged.get(i, 0)) for i in run[:at]]) / ideal if ideal else 0.0


def average_precision(run: Sequence[str], judged: Mapping[str, int]) -> float:
    """Return the precision at each relevant id found, summed, over the number of relevant ids."""
    found, total = 0, 0.0
    for place, item in enumerate(run, 1):
        if judged.get(item, 0) > 0:
            found += 1
            total += found / place
    relevant = _relevant(judged)
    return total / relevant if relevant else 0.0


def recall(run: Sequence[str], judged: Mapping[str, int], at: int = 100) -> float:
    """Return the share of all relevant ids that are among the first `at`."""
    relevant = _relevant(judged)
    return _hits(run[:at], judged) / relevant if relevant else 0.0


def precision(run: Sequence[str], judged: Mapping[str, int], at: int = 30) -> float:
    """Return the share of relevant ids in the first `at` places; an empty place counts as wrong."""
    return _hits(run[:at], judged) / at


def reciprocal_rank(run: Sequence[str], judged: Mapping[str, int]) -> float:
    """Return one over the place of the first relevant id; 0 if there is none."""
    return next((1 / place for place, item in enumerate(run, 1) if judged.get(item, 0) > 0), 0.0)


def paired_bootstrap(differences: np.ndarray) -> Comparison:
    """Return how sure the mean of paired differences is, float64 (queries,), one for each query.

    Queries are drawn anew, with replacement (Efron's percentile interval; Sakai 2006). p is twice
    the smaller share of draws whose mean is on the other side of 0, at most 1.
    """
    random = np.random.default_rng(_SEED)
    draws = random.integers(0, len(differences), (_SAMPLES, len(differences)))
    means = differences[draws].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5]).tolist()
    other_side = min((means <= 0).mean(), (means >= 0).mean())
    return Comparison(float(differences.mean()), low, high, min(1.0, 2 * float(other_side)))


def _discounted(grades: Sequence[int]) -> float:
    return sum(grade / math.log2(place + 1) for place, grade in enumerate(grades, 1))


def _hits(run: Sequence[str], judged: Mapping[str, int]) -> int:
    return sum(judged.get(item, 0) > 0 for item in run)


def _relevant(judged: Mapping[str, int]) -> int:
    return sum(grade > 0 for grade in judged.values())
