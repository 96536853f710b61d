"""Evaluating search: measures systems on judged queries, with the code that searches posts.

    bm25       the query's words
    feedback   and the words that the best posts share
    dense      vectors alone
    hybrid     words with feedback, and vectors by their stated weight
    best       the order that was learned, where the texts are posts; hybrid where they are not

The measures are in `metrics.py`; ids with equal scores come in falling order of their ids, as in
trec_eval. Collections are read by `judged.py`.
"""

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.core.protocols import Embedder
from rookery.search.engine.nearest import nearest
from rookery.search.engine.retrieve import by_some_words
from rookery.search.engine.scored import wanted_of
from rookery.search.judged import JudgedIndex, indexed, read_judged
from rookery.search.query import Query, words_query
from rookery.search.ranking import metrics
from rookery.search.ranking.features import FEATURES, features
from rookery.search.ranking.ranker import Weights, shipped, suits

SYSTEMS = ("bm25", "feedback", "dense", "hybrid", "best")

WITHOUT_VECTORS = "best without vectors"

RANKED = 300
"""How many candidates the ranker puts in order; the others follow as they were."""

_DEPTH = 1000
_NO_VECTOR = np.array([float(name != "vector") for name in FEATURES])


@dataclass(frozen=True)
class Reweighed:
    """An embedder with another weight than it states."""

    embedder: Embedder
    weight: float

    @property
    def digest(self) -> str:
        return self.embedder.digest

    @property
    def dimensions(self) -> int:
        return self.embedder.dimensions

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return self.embedder.embed(texts)


def evaluate(
    folder: Path,
    qrels: str,
    systems: Sequence[str],
    embedder: Embedder,
    context: Context,
    weights: Weights | None = None,
) -> dict[str, Any]:
    """Measure systems on a collection, as means over its judged queries.

    weights: of the ranker, None for those that are shipped. Returns `{"systems": {name: {"ndcg@10",
    "map", "recall@100", "p@30", "mrr", "queries"}}}`; beside bm25, `against_bm25` has the paired
    difference in nDCG at 10 of each other system (`metrics.paired_bootstrap`). For best, `best` is
    what it was (ranker or hybrid), and `model` the difference that its vectors made. Raises
    `UsageError` for a system or folder that does not exist, `DataError` naming the file and line
    that is wrong.
    """
    for system in systems:
        if system not in SYSTEMS:
            raise UsageError(f"there is no system {system!r}", hint=f"Known: {', '.join(SYSTEMS)}")
    judged = read_judged(folder, qrels)
    with tempfile.TemporaryDirectory(prefix="rookery-evaluate-") as scratch:
        index = indexed(judged, embedder, Path(scratch) / "index", context)
        rows = _measured(index, systems, weights or shipped(), context)
        used = "ranker" if suits(index.view.statistics.average_terms) else "hybrid"
    result: dict[str, Any] = {"systems": {name: _means(rows[name]) for name in systems}}
    if "bm25" in systems:
        others = [name for name in systems if name != "bm25"]
        result["against_bm25"] = {name: _difference(rows[name], rows["bm25"]) for name in others}
    if "best" in systems:
        result["best"] = used
        result["model"] = _difference(rows["best"], rows[WITHOUT_VECTORS])
    return result


def candidates_of(index: JudgedIndex, query: Query, depth: int) -> list[int]:
    """Return the best ordinals by words with feedback, best first, whatever the embedder."""
    return _by_words(index, query, Reweighed(index.embedder, 0.0), depth)


def features_of(index: JudgedIndex, query: Query, ordinals: Sequence[int]) -> np.ndarray:
    """Return the features of candidates of a query (`ranking/features.py`)."""
    wanted = wanted_of(index.view.analyses, query, index.embedder)
    return features(wanted, index.view.columns, np.array(ordinals, np.int64), index.view.statistics)


def _measured(
    index: JudgedIndex, systems: Sequence[str], weights: Weights, context: Context
) -> dict[str, list[dict[str, float]]]:
    """Return by system the measures of each judged query; beside best, of it without vectors."""
    judged = index.judged
    rows = defaultdict(list)
    with context.progress.task("Queries", len(judged.grades), "queries") as task:
        for name, grades in judged.grades.items():
            runs = _runs(index, words_query(judged.queries[name]), systems, weights)
            for system, run in runs.items():
                rows[system].append(_measures([index.ids[n] for n in run], grades))
            task.advance()
    return dict(rows)


def _measures(run: Sequence[str], grades: Mapping[str, int]) -> dict[str, float]:
    return {
        "ndcg@10": metrics.ndcg(run, grades),
        "map": metrics.average_precision(run, grades),
        "recall@100": metrics.recall(run, grades),
        "p@30": metrics.precision(run, grades),
        "mrr": metrics.reciprocal_rank(run, grades),
    }


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    means = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}
    return means | {"queries": len(rows)}


def _difference(
    ours: Sequence[Mapping[str, float]], theirs: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    pairs = zip(ours, theirs, strict=True)
    differences = np.array([one["ndcg@10"] - other["ndcg@10"] for one, other in pairs])
    found = asdict(metrics.paired_bootstrap(differences))
    return {name: round(value, 4) for name, value in found.items()}


def _runs(
    index: JudgedIndex, query: Query, systems: Sequence[str], weights: Weights
) -> dict[str, list[int]]:
    """Return the ordinals that each system finds, best first."""
    runs: dict[str, list[int]] = {}
    if "bm25" in systems:
        runs["bm25"] = _by_words(index, query, None, _DEPTH)
    if "feedback" in systems or "best" in systems:
        runs["feedback"] = candidates_of(index, query, _DEPTH)
    if "dense" in systems:
        vector = index.embedder.embed([query.text])[0]
        runs["dense"] = nearest(index.view, vector, index.view.findable, _DEPTH).tolist()
    if "hybrid" in systems or "best" in systems:
        runs["hybrid"] = _by_words(index, query, index.embedder, _DEPTH)
    if "best" in systems:
        learned = suits(index.view.statistics.average_terms)
        orders = _learned(index, query, runs["feedback"], weights) if learned else runs
        runs["best"], runs[WITHOUT_VECTORS] = orders["hybrid"], orders["feedback"]
    return runs


def _by_words(index: JudgedIndex, query: Query, embedder: Embedder | None, depth: int) -> list[int]:
    """Return the best ordinals for some of the words of a query."""
    if not query.terms:
        return []
    found = by_some_words(index.view, embedder, query, depth)
    scored = sorted(((c.score, c.ordinal) for c in found), reverse=True)  # ordinals are as ids are
    return [n for score, n in scored if score > 0]


def _learned(
    index: JudgedIndex, query: Query, found: Sequence[int], weights: Weights
) -> dict[str, list[int]]:
    """Return the learned order of the first candidates, the others after them.

    hybrid: with vectors; feedback: without.
    """
    ordinals = np.array(found[:RANKED], dtype=np.int64)
    known = features_of(index, query, found[:RANKED])
    orders = {}
    for name, features_used in (("hybrid", known), ("feedback", known * _NO_VECTOR)):
        scores = weights.scores(features_used, len(query.terms))
        best = ordinals[np.lexsort((-ordinals, -scores))].tolist()
        orders[name] = [*best, *found[RANKED:]]
    return orders
