"""Retrieval: from a query tree to ranked candidates, by words, by meaning or by time.

A candidate is an ordinal of the segment with the parts of its score. The required parts of a query
(phrases, fields, dates, exclusions) hold in every retriever. For a search, vectors only change the
order of what matches; for a question they also bring posts that have none of its words. Whether a
candidate may be shown is decided when it is shown (`visible.py`); how scores are computed is in
`ranking/scores.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import faiss
import numpy as np
import tantivy
from tantivy import FieldType, Occur

from rookery.core.protocols import Embedder
from rookery.search.engine.analysis import STOP_WORDS, exact_tokens, is_run, stem
from rookery.search.engine.segment import Segment, author_key
from rookery.search.query import (
    And,
    Field,
    MinLikes,
    Node,
    Not,
    Or,
    Phrase,
    Query,
    Since,
    Until,
    Word,
)
from rookery.search.ranking import scores as rank

_STOP_TERMS = frozenset(stem(sorted(STOP_WORDS)))
_NEIGHBOURS = 200
_SELECTIVE = 10_000  # a filter that lets fewer posts through is applied inside the vector search
_PROBES = 32  # lists of vectors that a search compares


@dataclass(frozen=True, slots=True)
class Candidate:
    """A post that was found: its ordinal, its score, and the parts of the score."""

    ordinal: int
    score: float
    parts: Mapping[str, float]


# What a tree means
# --------------------------------------------------------------------------------------


def compiled(node: Node, schema: tantivy.Schema) -> tantivy.Query:
    """Return the text engine's query for the posts that match a tree."""
    match node:
        case Word(text):
            return _word(text, schema)
        case Phrase(text):
            return _phrase(list(exact_tokens(text)), schema)
        case Field(name, value):
            return tantivy.Query.term_query(schema, name, value, "basic")
        case Since(moment):
            return _range(schema, "created", FieldType.Integer, low=_second_at_or_after(moment))
        case Until(moment):
            return _range(
                schema, "created", FieldType.Integer, high=_second_at_or_after(moment) - 1
            )
        case MinLikes(likes):
            return _range(schema, "likes", FieldType.Unsigned, low=likes)
        case Not(part):
            everything = (Occur.Must, tantivy.Query.all_query())
            return tantivy.Query.boolean_query(
                [everything, (Occur.MustNot, compiled(part, schema))]
            )
        case Or(parts):
            return tantivy.Query.boolean_query([(Occur.Should, compiled(p, schema)) for p in parts])
        case And(()):
            return tantivy.Query.all_query()
        case And(parts):
            required = _without_stop_words(parts)
            return tantivy.Query.boolean_query(
                [(Occur.Must, compiled(p, schema)) for p in required]
            )


def _without_stop_words(parts: Sequence[Node]) -> Sequence[Node]:
    """Leave out words such as `the`, unless there is nothing else."""
    weighty = [p for p in parts if not (isinstance(p, Word) and p.text.lower() in STOP_WORDS)]
    return weighty or parts


def _word(text: str, schema: tantivy.Schema) -> tantivy.Query:
    tokens = list(exact_tokens(text))
    if len(tokens) == 1 and not is_run(tokens[0][0]):
        return tantivy.Query.term_query(schema, "terms", stem(tokens)[0], "basic")
    return _phrase(tokens, schema)


def _phrase(tokens: Sequence[str], schema: tantivy.Schema) -> tantivy.Query:
    if len(tokens) > 1:
        return tantivy.Query.phrase_query(schema, "exact", list(tokens))
    if is_run(tokens[0][0]) and len(tokens[0]) == 1:  # one character: any pair that it is part of
        return tantivy.Query.regex_query(schema, "exact", f".?{tokens[0]}.?")
    return tantivy.Query.term_query(schema, "exact", tokens[0], "basic")


def _range(
    schema: tantivy.Schema,
    name: str,
    kind: FieldType,
    low: int | None = None,
    high: int | None = None,
) -> tantivy.Query:
    return tantivy.Query.range_query(schema, name, kind, low, high)


def _second_at_or_after(moment: datetime) -> int:
    """Round a moment up to whole seconds, which is what the index stores."""
    seconds = int(moment.timestamp() // 1)
    return seconds + (moment.microsecond > 0)


# Candidates
# ---------------------------------------------------------------------------------------------


def by_all_words(segment: Segment, embedder: Embedder, query: Query, depth: int) -> list[Candidate]:
    """Return the best `depth` posts that match all of a query, best first."""
    match = compiled(query.root, segment.text.schema)
    found = _proposed(segment, query.terms, match, depth)
    return _ranked(segment, query.terms, found, embedder.embed([query.text]), embedder.weight)


def by_some_words(
    segment: Segment, embedder: Embedder | None, query: Query, depth: int
) -> list[Candidate]:
    """Return the best `depth` posts that have some of the words or are near in meaning, best first.

    Without an embedder this is BM25 alone, with no feedback either.
    """
    required = _required(query, segment.text.schema)
    found = _proposed(segment, query.terms, required, depth, some_word=True)
    if embedder is None:
        return _ranked(segment, query.terms, found, None)
    vector = embedder.embed([query.text])
    expanded = _with_feedback(segment, query.terms, found)
    found += _proposed(segment, expanded, required, depth, some_word=True)
    found += [n for n, _ in neighbours(segment, vector, required)]
    found = list(dict.fromkeys(found))
    return _ranked(segment, query.terms, found, vector, embedder.weight)[:depth]


def by_time(segment: Segment, query: Query, now_seconds: int, depth: int) -> list[Candidate]:
    """Return the newest `depth` posts that match all of a query, scored by their place.

    Posts dated in the future come last, so that nobody gains by a wrong date.
    """
    schema = segment.text.schema
    match = compiled(query.root, schema)
    future = _range(schema, "created", FieldType.Integer, low=now_seconds + 1)
    past = tantivy.Query.boolean_query([(Occur.Must, match), (Occur.MustNot, future)])
    found = newest(segment, past, depth)
    if len(found) < depth:
        later = tantivy.Query.boolean_query([(Occur.Must, match), (Occur.Must, future)])
        found += newest(segment, later, depth)
    return [Candidate(n, 1 / place, {}) for place, n in enumerate(found[:depth], 1)]


def newest(segment: Segment, match: tantivy.Query, depth: int) -> list[int]:
    """Return the ordinals of matching posts, newest first; ordinals follow the order of time."""
    return _first(segment, match, depth, by="ordinal")


def count_matching(segment: Segment, match: tantivy.Query) -> int:
    """Count the posts that match the text engine's query."""
    # The package's type stub lacks `SearchResult.count`.
    count = segment.searcher.search(match, 1).count  # type: ignore[attr-defined]
    if not count or not segment.withheld.ordinals:
        return count
    hidden = tantivy.Query.term_set_query(
        segment.text.schema, "ordinal", sorted(segment.withheld.ordinals)
    )
    both = tantivy.Query.boolean_query([(Occur.Must, match), (Occur.Must, hidden)])
    return count - segment.searcher.search(both, 1).count  # type: ignore[attr-defined]


def posts_of(segment: Segment, names: Sequence[str]) -> list[int]:
    """Return the ordinals of posts that have one of the names as id or as author's name.

    Authors are looked up in one case, so that some posts may be of authors of a similar name.
    """
    schema = segment.text.schema
    ids = tantivy.Query.term_set_query(schema, "id", list(names))
    authors = tantivy.Query.term_set_query(schema, "author", [author_key(n) for n in names])
    either = tantivy.Query.boolean_query([(Occur.Should, ids), (Occur.Should, authors)])
    count = segment.searcher.search(either, 1).count  # type: ignore[attr-defined]
    return newest(segment, either, max(1, count))


def _first(segment: Segment, match: tantivy.Query, depth: int, by: str | None = None) -> list[int]:
    """Return the first `depth` ordinals by the engine's own score, or by a field, highest first.

    The next ones take the places of those that are withheld.
    """
    asked = depth
    while True:
        result = segment.searcher.search(match, asked, count=False, order_by_field=by)
        addresses = [address for _, address in result.hits]
        ordinals = segment.searcher.fast_field_values("ordinal", addresses)
        free = segment.withheld.free(n for n in ordinals if isinstance(n, int))  # all have one
        if len(free) >= depth or len(addresses) < asked:
            return free[:depth]
        asked *= 4


def neighbours(
    segment: Segment, vector: np.ndarray, required: tantivy.Query | None, count: int = _NEIGHBOURS
) -> list[tuple[int, float]]:
    """Return (ordinal, cosine) of the matching posts nearest to a vector, nearest first.

    vector: (1, dimensions). A `required` of None matches every post.
    """
    if segment.vectors is None or not vector.any():
        return []
    if required is None:
        return _nearest(segment, segment.vectors, vector, count)
    matching = count_matching(segment, required)
    if matching <= _SELECTIVE:
        among = newest(segment, required, max(1, matching))
        return _nearest(segment, segment.vectors, vector, count, among)
    # Many match: search a wider neighbourhood, of which about `count` should match, then filter it.
    wide = min(segment.posts, count * segment.posts // matching + count)
    found = _nearest(segment, segment.vectors, vector, wide)
    near = tantivy.Query.term_set_query(segment.text.schema, "ordinal", [n for n, _ in found])
    both = tantivy.Query.boolean_query([(Occur.Must, required), (Occur.Must, near)])
    matched = set(newest(segment, both, wide))
    return [(n, cosine) for n, cosine in found if n in matched][:count]


def _required(query: Query, schema: tantivy.Schema) -> tantivy.Query | None:
    """Return what stays required when plain words become optional; None if nothing does."""
    required = query.without_plain_words()
    return compiled(required, schema) if required.parts else None


def _proposed(
    segment: Segment,
    terms: Sequence[str] | Mapping[str, float],
    match: tantivy.Query | None,
    depth: int,
    some_word: bool = False,
) -> list[int]:
    """Return the ordinals that the text engine itself ranks best for weighted terms.

    match: only posts that match this; None for any. some_word: only posts that have some term.
    """
    schema = segment.text.schema
    weights = terms if isinstance(terms, Mapping) else dict.fromkeys(terms, 1.0)
    optional = [
        (Occur.Should, tantivy.Query.boost_query(_term(schema, term), weight))
        for term, weight in weights.items()
    ]
    clauses = [(Occur.Must if some_word else Occur.Should, tantivy.Query.boolean_query(optional))]
    if match is not None:
        clauses.append((Occur.Must, tantivy.Query.const_score_query(match, 0.0)))
    return _first(segment, tantivy.Query.boolean_query(clauses), depth)


def _term(schema: tantivy.Schema, term: str) -> tantivy.Query:
    return tantivy.Query.term_query(schema, "terms", term, "freq")


def _nearest(
    segment: Segment,
    vectors: faiss.Index,
    vector: np.ndarray,
    count: int,
    among: Sequence[int] | None = None,
) -> list[tuple[int, float]]:
    """Return (ordinal, cosine) of the nearest vectors; all those of `among` are compared.

    None of `among` is withheld.
    """
    options: dict[str, Any] = {}
    if segment.withheld.selector is not None:
        options["sel"] = segment.withheld.selector
    if among is not None:
        options["sel"] = faiss.IDSelectorBatch(np.asarray(among, dtype=np.int64))
    kind = faiss.SearchParameters
    if isinstance(vectors, faiss.IndexIVF):
        kind = faiss.SearchParametersIVF
        options["nprobe"] = _PROBES if among is None else vectors.nlist
    most = min(count, segment.facts.posts)
    cosines, ordinals = vectors.search(vector, most, params=kind(**options))
    return [
        (n, c) for n, c in zip(ordinals[0].tolist(), cosines[0].tolist(), strict=True) if n >= 0
    ]


# Scores
# -------------------------------------------------------------------------------------------------


def _ranked(
    segment: Segment,
    terms: Sequence[str],
    ordinals: Sequence[int],
    vector: np.ndarray | None,
    stated_weight: float = 0.0,
) -> list[Candidate]:
    """Score candidates and sort them: by score, then newest; without a vector by BM25 alone."""
    if not ordinals:
        return []
    documents = segment.terms_of(ordinals)
    parts = {"bm25": _bm25(segment, rank.even(terms), documents)}
    if vector is not None:
        parts["feedback"] = _bm25(
            segment, _shared_terms(segment, documents, parts["bm25"]), documents
        )
        parts["vector"] = _cosines(segment, vector, ordinals)
    weight = rank.vector_weight(stated_weight, len(terms))
    scores = rank.blend(parts, rank.feedback_share(len(terms)), weight)
    candidates = [
        Candidate(n, float(scores[i]), {name: float(part[i]) for name, part in parts.items()})
        for i, n in enumerate(ordinals)
    ]
    return sorted(candidates, key=lambda c: (-c.score, -c.ordinal))


def _with_feedback(
    segment: Segment, terms: Sequence[str], ordinals: Sequence[int]
) -> dict[str, float]:
    """Return a query's own terms and those that its best posts share, weighted."""
    documents = segment.terms_of(ordinals)
    extra = _shared_terms(segment, documents, _bm25(segment, rank.even(terms), documents))
    return rank.joined(rank.even(terms), extra, rank.feedback_share(len(terms)))


def _shared_terms(
    segment: Segment, documents: Sequence[Sequence[str]], scores: np.ndarray
) -> dict[str, float]:
    order = np.argsort(-scores, kind="stable")[: rank.FEEDBACK_POSTS]
    best = [n for n in order.tolist() if scores[n] > 0]
    chosen = [documents[n] for n in best]
    terms = {term for document in chosen for term in document} - _STOP_TERMS
    return rank.shared_terms(chosen, scores[best], statistics_of(segment, terms))


def _bm25(
    segment: Segment, weights: Mapping[str, float], documents: Sequence[Sequence[str]]
) -> np.ndarray:
    return rank.bm25(weights, documents, statistics_of(segment, weights))


def statistics_of(segment: Segment, terms: Iterable[str]) -> rank.Statistics:
    """Return the counts of a segment that ranking needs for some terms."""
    hidden = segment.withheld.posts_with
    posts_with = {
        term: segment.searcher.doc_freq("terms", term) - hidden.get(term, 0)
        for term in sorted(terms)
    }
    return rank.Statistics(segment.posts, segment.average_terms, posts_with)


def _cosines(segment: Segment, vector: np.ndarray, ordinals: Sequence[int]) -> np.ndarray:
    if segment.vectors is None or not vector.any():
        return np.zeros(len(ordinals))
    near = dict(_nearest(segment, segment.vectors, vector, len(ordinals), ordinals))
    return np.array([near.get(n, 0.0) for n in ordinals])
