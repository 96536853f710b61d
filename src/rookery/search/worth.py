"""The worth of an embedder: the weight beside BM25 at which its vectors find most.

Judged on pairs of texts that belong together (a reply and its parent, say): one is the query, the
other has to be found among many. Each weight ranks the candidates of the same search, with the
blend that search uses (`ranking/scores.py`). Not here: where the pairs are from
(`workflows/worth.py`), and judged collections (`evaluate.py`).
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rookery.core.context import Context
from rookery.core.protocols import Embedder
from rookery.search.engine.retrieve import by_some_words
from rookery.search.engine.scored import Candidate
from rookery.search.evaluate import Reweighed
from rookery.search.judged import view_of
from rookery.search.query import words_query
from rookery.search.ranking import metrics
from rookery.search.ranking import scores as rank

WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
_DEPTH = 200
_EVEN = 0.5  # the weight at which both kinds of candidates are among the best


@dataclass(frozen=True)
class VectorWorth:
    """What an embedder is worth: the best weight, and what each weight found.

    ndcg_at_10, recall_at_10: the means over the queries, by weight; 0 is BM25 without vectors.
    alone: the recall of the vectors alone.
    """

    weight: float
    queries: int
    ndcg_at_10: Mapping[str, float]
    recall_at_10: Mapping[str, float]
    alone: float


def measure_worth(
    texts: Mapping[str, str],
    wanted: Sequence[tuple[str, str]],
    embedder: Embedder,
    context: Context,
) -> VectorWorth:
    """Return the worth of an embedder on queries, each given with the id of the text to find.

    texts: what is searched, by id. The weight is `steadiest` by nDCG at 10, 0 if vectors help
    nowhere.
    """
    runs: dict[float, list[list[str]]] = {weight: [] for weight in WEIGHTS}
    alone = []
    ids = sorted(texts)  # as the index's ordinals are
    even = Reweighed(embedder, _EVEN)
    with tempfile.TemporaryDirectory(prefix="rookery-worth-") as scratch:
        view = view_of(Path(scratch) / "index", texts, even, context)
        with context.progress.task("what vectors are worth", len(wanted), "queries") as task:
            for text, _ in wanted:
                query = words_query(text)
                found = by_some_words(view, even, query, _DEPTH) if query.terms else []
                terms = max(len(query.terms), 1)
                for stated, run in runs.items():
                    weight = rank.vector_weight(stated, terms)
                    run.append([ids[n] for n in _ranking(found, terms, weight)])
                alone.append([ids[n] for n in _ranking(found, terms, 1.0)])
                task.advance()
    golds = [{gold: 1} for _, gold in wanted]
    ndcg, recall = (_scores(measure, runs, golds) for measure in (metrics.ndcg, metrics.recall))
    of_vectors = _scores(metrics.recall, {1.0: alone}, golds)
    return VectorWorth(
        steadiest(ndcg),
        len(wanted),
        _means(ndcg),
        _means(recall),
        round(float(of_vectors.mean()), 4),
    )


def steadiest(scores: np.ndarray) -> float:
    """Return the middle of the weights that are about as good as the best; 0 if 0 is the best.

    Of two in the middle it is the lower one.

    scores: (weights, queries), in the order of `WEIGHTS`. About as good: the mean difference is at
    most its standard error. With few queries many weights are, and the best of them is chance.
    """
    best = int(scores.mean(axis=1).argmax())  # the lowest of equals
    if WEIGHTS[best] == 0:
        return 0.0
    behind = scores[best] - scores
    errors = behind.std(axis=1) / np.sqrt(scores.shape[1])
    near = np.flatnonzero(behind.mean(axis=1) <= errors)
    return WEIGHTS[int(near[(len(near) - 1) // 2])]


def _ranking(candidates: Sequence[Candidate], terms: int, weight: float) -> list[int]:
    """Return the ordinals of candidates as a weight ranks them, best first."""
    if not candidates:
        return []
    names = candidates[0].parts
    parts = {name: np.array([c.parts[name] for c in candidates]) for name in names}
    scores = rank.blend(parts, rank.feedback_share(terms), weight)
    order = sorted(range(len(candidates)), key=lambda i: (-scores[i], -candidates[i].ordinal))
    return [candidates[i].ordinal for i in order[:10]]


def _scores(
    measure: Callable[[Sequence[str], Mapping[str, int]], float],
    runs: Mapping[float, Sequence[Sequence[str]]],
    grades: Sequence[Mapping[str, int]],
) -> np.ndarray:
    """Return what each weight scores on each query, float64 (weights, queries)."""
    return np.array(
        [[measure(r, g) for r, g in zip(run, grades, strict=True)] for run in runs.values()]
    )


def _means(scores: np.ndarray) -> dict[str, float]:
    """Return the mean score of each of `WEIGHTS`, by its name."""
    means = scores.mean(axis=1).tolist()
    return {str(weight): round(mean, 4) for weight, mean in zip(WEIGHTS, means, strict=True)}
