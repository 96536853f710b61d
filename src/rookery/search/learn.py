"""Learning to rank: the weights of the ranker, from judged collections.

Each collection counts the same, however many queries it has. How strong the penalty on weights is,
is chosen by cross-validation over queries. What is reported of a collection is from weights that
never saw the query (`cross_validated`), and from weights that never saw any query of the collection
(`left_out`). A feature's worth is what cross-validation loses without it.

Not here: how weights are fitted (`ranking/fitting.py`) and files of them (`ranking/ranker.py`).
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.core.protocols import Embedder
from rookery.search.evaluate import RANKED, candidates_of, features_of
from rookery.search.judged import indexed, read_judged
from rookery.search.query import words_query
from rookery.search.ranking.features import FEATURES
from rookery.search.ranking.fitting import JudgedCandidates, fit, ideal_gain
from rookery.search.ranking.ranker import Weights

PENALTIES = (0.01, 0.03, 0.1)
"""The strengths of the penalty that are tried; of those about as good the strongest is taken."""

_FOLDS = 5
_AS_GOOD = 0.002  # a difference in nDCG that is chance
_LEARNED_FROM = 100  # candidates of a query, best by words first: the wrong ones are among these
_ONLY_BM25 = np.array([float(name == "bm25") for name in FEATURES])
_BM25 = Weights(_ONLY_BM25, _ONLY_BM25)

_VECTOR = FEATURES.index("vector")

Queries = Sequence[JudgedCandidates]


@dataclass(frozen=True)
class JudgedQueries:
    """The judged queries of one collection. texts: how many it has."""

    name: str
    qrels: str
    texts: int
    queries: tuple[JudgedCandidates, ...]


@dataclass(frozen=True)
class Learned:
    """The weights, and what was found on the way.

    collections: of each its name, size, and nDCG at 10 by bm25, cross-validated and, if there are
    others, left out. worth: of each feature. penalty: the one that was chosen.
    """

    weights: Weights
    collections: tuple[dict[str, Any], ...]
    worth: dict[str, float]
    penalty: float


def sources_of(folders: Sequence[Path], qrels: Sequence[str]) -> list[tuple[Path, str]]:
    """Return each folder with the name of its judgments: of one name for all, or one for each.

    Without names it is train, or test where there is no train. Raises `UsageError` for another
    number of names.
    """
    if not qrels:
        names = [
            "train" if (folder / "qrels" / "train.tsv").exists() else "test" for folder in folders
        ]
    elif len(qrels) in (1, len(folders)):
        names = [*qrels] * (len(folders) // len(qrels))
    else:
        raise UsageError(
            f"{len(qrels)} names of judgments for {len(folders)} folders",
            hint="Give --qrels once, or once for each folder",
        )
    return list(zip(folders, names, strict=True))


def learn(folders: Sequence[tuple[Path, str]], embedder: Embedder, context: Context) -> Learned:
    """Learn weights from judged collections, each given by its folder and the name of its qrels.

    Raises `UsageError` for a folder or judgments that do not exist, or fewer than ten queries,
    `DataError` naming the file and line that is wrong.
    """
    sources = [read_source(folder, qrels, embedder, context) for folder, qrels in folders]
    for source in sources:
        if len(source.queries) < 2 * _FOLDS:
            raise UsageError(
                f"{source.name} has {len(source.queries)} queries to learn from",
                hint=f"At least {2 * _FOLDS} with a relevant text are needed",
            )
    return learned_from(sources, embedder, context)


def read_source(folder: Path, qrels: str, embedder: Embedder, context: Context) -> JudgedQueries:
    """Return the judged queries of a collection, with the features of their candidates."""
    judged = read_judged(folder, qrels)
    queries = []
    with tempfile.TemporaryDirectory(prefix="rookery-learn-") as scratch:
        index = indexed(judged, embedder, Path(scratch) / "index", context)
        with context.progress.task(f"Queries, {folder.name}", len(judged.grades), "queries") as t:
            for name, grades in judged.grades.items():
                query = words_query(judged.queries[name])
                ordinals = candidates_of(index, query, RANKED)
                known = features_of(index, query, ordinals)
                found = np.array([max(0, grades.get(index.ids[n], 0)) for n in ordinals], float)
                ideal = ideal_gain(list(grades.values()))
                queries.append(JudgedCandidates(known, found, len(query.terms), ideal))
                t.advance()
    return JudgedQueries(folder.name, qrels, len(index.ids), tuple(queries))


def learned_from(sources: Sequence[JudgedQueries], embedder: Embedder, context: Context) -> Learned:
    """Learn weights from judged queries (`learn`)."""
    parts = [source.queries for source in sources]
    penalty, scores = chosen_penalty(parts)
    with context.progress.task("What each is worth", len(FEATURES), "features") as task:
        worth = {}
        for place, name in enumerate(FEATURES):
            without = [[_without(query, place) for query in queries] for queries in parts]
            lost = np.mean(scores) - np.mean(_crossed(without, penalty))
            worth[name] = round(float(lost), 4)
            task.advance()
    described = tuple(
        _described(sources, place, penalty, scores[place]) for place in range(len(sources))
    )
    facts = {
        "by": "rookery search learn",
        "date": f"{context.clock.now():%Y-%m-%d}",
        "from": " ".join(f"{source.name}:{source.qrels}" for source in sources),
        "embedder": embedder.digest,
        "embedder_weight": embedder.weight,
        "collections": list(described),
        "worth": worth,
        "penalty": penalty,
    }
    weights = replace(fitted(parts, penalty), provenance=facts)
    return Learned(weights, described, worth, penalty)


def chosen_penalty(parts: Sequence[Queries]) -> tuple[float, list[float]]:
    """Return the strongest penalty about as good as the best in cross-validation, and its nDCG."""
    scores = {penalty: _crossed(parts, penalty) for penalty in PENALTIES}
    means = {penalty: float(np.mean(found)) for penalty, found in scores.items()}
    chosen = max(p for p, mean in means.items() if mean >= max(means.values()) - _AS_GOOD)
    return chosen, scores[chosen]


def fitted(parts: Sequence[Queries], penalty: float) -> Weights:
    """Return the weights fitted to the best candidates by words of each query.

    Each query is learned from twice, with its vectors and without, so that one set of weights holds
    for every embedder and for none.
    """
    shallow = [[_shallow(query) for query in queries] for queries in parts]
    return fit([[*own, *(_without(query, _VECTOR) for query in own)] for own in shallow], penalty)


def _described(
    sources: Sequence[JudgedQueries], place: int, penalty: float, crossed: float
) -> dict[str, Any]:
    source = sources[place]
    others = [other.queries for n, other in enumerate(sources) if n != place]
    found = {"bm25": _ndcg(_BM25, source.queries), "cross_validated": crossed}
    if others:
        found["left_out"] = _ndcg(fitted(others, penalty), source.queries)
    sizes = {"texts": source.texts, "queries": len(source.queries)}
    ndcg = {name: round(value, 4) for name, value in found.items()}
    return {"name": source.name, "qrels": source.qrels, **sizes, **ndcg}


def _crossed(parts: Sequence[Queries], penalty: float) -> list[float]:
    """Return nDCG at 10 of each collection by weights fitted to the other folds of all of them."""
    found = [np.zeros(len(queries)) for queries in parts]
    for fold in range(_FOLDS):
        rest = [[q for n, q in enumerate(queries) if n % _FOLDS != fold] for queries in parts]
        weights = fitted(rest, penalty)
        for queries, scores in zip(parts, found, strict=True):
            for n in range(fold, len(queries), _FOLDS):
                scores[n] = queries[n].ndcg(weights)
    return [float(scores.mean()) for scores in found]


def _ndcg(weights: Weights, queries: Queries) -> float:
    return float(np.mean([query.ndcg(weights) for query in queries]))


def _shallow(query: JudgedCandidates) -> JudgedCandidates:
    """Return a query with the candidates that are learned from."""
    first = slice(_LEARNED_FROM)
    return replace(query, features=query.features[first], grades=query.grades[first])


def _without(query: JudgedCandidates, feature: int) -> JudgedCandidates:
    kept = np.arange(len(FEATURES)) != feature
    return replace(query, features=query.features * kept)
