"""Scoring: from the posts that were found to candidates with scores, best first.

The same functions rank the posts of one index and those that several shards found, of which each
told its columns (`router.py`). How features become a score is in `ranking/`; which posts are found
in `retrieve.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rookery.core.protocols import Embedder
from rookery.search.engine.analysis import QueryTerm, analyse
from rookery.search.engine.columns import Columns, hashed
from rookery.search.engine.nearest import cosines_of
from rookery.search.engine.statistics import Statistics
from rookery.search.engine.words import STOP_WORDS, exact_tokens
from rookery.search.query import Query
from rookery.search.ranking import scores as rank
from rookery.search.ranking.features import FEATURES, Wanted, features, word_scores
from rookery.search.ranking.ranker import Weights, suits
from rookery.search.ranking.variety import damping, stuffing

STUFFED = "stuffed"
"""The part of a score that a post loses which is made of tags."""


class Collection(Protocol):
    """Posts that can be ranked: a view, or what shards found for a query."""

    @property
    def columns(self) -> Columns:
        """Return the columns of the posts."""

    @property
    def statistics(self) -> Statistics:
        """Return the counts of the whole collection."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A post that was found: its ordinal and its score.

    address: where the text engine has it; None for a post of a shard (`router.py`).
    moment: its place in the order of time, where it was found by time.
    names, values: of the parts of the score, where it was ranked.
    """

    ordinal: int
    score: float
    address: Any
    moment: int = 0
    names: Sequence[str] = ()
    values: Sequence[float] = ()

    @property
    def parts(self) -> dict[str, float]:
        """Return the parts of the score by name; few candidates are asked for them."""
        return dict(zip(self.names, self.values, strict=True))


@dataclass(frozen=True)
class Matches:
    """Posts that the text engine found: ordinals, int64 (n,), and where it has them; None for posts
    of shards.
    """

    ordinals: np.ndarray
    addresses: Sequence[Any]

    def with_others(self, other: "Matches") -> "Matches":
        """Return these, and after them those of another search that are not among them."""
        new = np.flatnonzero(~np.isin(other.ordinals, self.ordinals))
        _, once = np.unique(other.ordinals[new], return_index=True)
        new = new[np.sort(once)]
        return Matches(
            np.concatenate([self.ordinals, other.ordinals[new]]),
            [*self.addresses, *(other.addresses[n] for n in new.tolist())],
        )


def has_words(candidate: Candidate) -> bool:
    """Return whether a candidate has some word of the query, and is not near in meaning alone."""
    return bool(candidate.parts.get("bm25"))


def wanted_of(analyses: frozenset[str], query: Query, embedder: Embedder | None) -> Wanted:
    """Return a query as ranking sees it, of a collection with some analyses (`View.analyses`).

    Without an embedder it has no vector.
    """
    terms = query.groups(analyses)
    words = list(exact_tokens(query.text))
    weighty = [word for word in words if word not in STOP_WORDS]
    return Wanted(
        tuple(hashed(term.variants) for term in terms),
        hashed(weighty or words),
        None if embedder is None else embedder.embed([query.text])[0],
        0.0 if embedder is None else embedder.weight,
    )


def even(terms: Sequence[QueryTerm]) -> dict[str, float]:
    """Return the variants of terms, each term with the same weight."""
    return {variant: 1 / len(terms) for term in terms for variant in term.variants}


def with_feedback(
    terms: Sequence[QueryTerm], gains: Mapping[int, float], texts: Sequence[Mapping[str, Any]]
) -> Mapping[str, float]:
    """Return a query's own terms and those that its best posts share, weighted.

    gains: of the shared terms, by hash. texts: the best posts, which are analysed again, since the
    columns have no spelling of a term.
    """
    spelled = {
        term
        for post in texts
        for term in analyse(post["text"], post["language"], post["alt_text"]).terms
    }
    by_hash = dict(zip(hashed(sorted(spelled)).tolist(), sorted(spelled), strict=True))
    shared = {by_hash[term]: gain for term, gain in gains.items() if term in by_hash}
    return rank.joined(even(terms), shared, rank.feedback_share(len(terms)))


def ranked(
    posts: Collection, wanted: Wanted, found: Matches, weights: Weights | None
) -> list[Candidate]:
    """Score candidates and sort them: by score, then newest.

    weights: the learned order. Without weights, or where the texts are no posts, words with
    feedback and vectors are blended; without a vector it is BM25 alone.
    """
    if not len(found.ordinals):
        return []
    if weights is not None and suits(posts.statistics.average_terms):
        known = features(wanted, posts.columns, found.ordinals, posts.statistics)
        names: Sequence[str] = FEATURES
        parts = weights.parts(known, len(wanted.terms))
        scores = weights.scores(known, len(wanted.terms))
    else:
        names, parts, scores = _blended(posts, wanted, found)
    change = damping(scores, stuffing(posts.columns, found.ordinals))
    scores, parts, names = scores + change, np.column_stack([parts, change]), [*names, STUFFED]
    order = np.lexsort((-found.ordinals, -posts.columns.created[found.ordinals], -scores))
    places, ordinals = order.tolist(), found.ordinals[order].tolist()
    values = parts[order].round(6).tolist()
    return [
        Candidate(n, score, found.addresses[place], names=names, values=of)
        for place, n, score, of in zip(
            places, ordinals, scores[order].tolist(), values, strict=True
        )
    ]


def _blended(
    posts: Collection, wanted: Wanted, found: Matches
) -> tuple[Sequence[str], np.ndarray, np.ndarray]:
    """Return the names of the parts, the parts and the scores of the order that is not learned."""
    words, feedback = word_scores(wanted, posts.columns, found.ordinals, posts.statistics)
    raw = {"bm25": words}
    if wanted.vector is not None:
        near = cosines_of(posts.columns, wanted.vector, found.ordinals).astype(np.float64)
        raw |= {"feedback": feedback, "vector": near}
    terms = max(1, len(wanted.terms))
    weight = rank.vector_weight(wanted.vector_weight, terms)
    scores = rank.blend(raw, rank.feedback_share(terms), weight)
    return list(raw), np.stack(list(raw.values()), axis=1), scores
