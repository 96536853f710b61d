"""Retrieval: a query tree to ranked candidates, by words and by meaning.

A candidate is an ordinal of the segment with the parts of its score. Binding parts of a query
(phrases, fields, dates, without) hold in every retriever. For a search, vectors only change the
order of what matches; for a question they also bring posts that have none of its words. Whether a
candidate may be shown is decided when it is shown (`visible.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import faiss
import numpy as np
import tantivy
from tantivy import FieldType, Occur

from rookery.core.protocols import Embedder
from rookery.search.engine.analysis import STOP_WORDS, exact_tokens, is_run, stem
from rookery.search.engine.segment import Segment
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
_PROBES = 32  # lists of vectors that are compared


@dataclass(frozen=True, slots=True)
class Candidate:
    """A post that may be shown: its ordinal, its score, and what the score is made of."""

    ordinal: int
    score: float
    parts: Mapping[str, float]


# What a tree means
# --------------------------------------------------------------------------------------


def compiled(node: Node, schema: tantivy.Schema) -> tantivy.Query:
    """The posts that match a tree, as the text engine's query."""
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
        case And(parts):
            parts = _without_stop_words(parts)
            if not parts:
                return tantivy.Query.all_query()
            return tantivy.Query.boolean_query([(Occur.Must, compiled(p, schema)) for p in parts])


def _without_stop_words(parts: Sequence[Node]) -> Sequence[Node]:
    """Words such as `the` do not bind, unless there is nothing else."""
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
    """The index knows whole seconds."""
    seconds = int(moment.timestamp() // 1)
    return seconds + (moment.microsecond > 0)


# Candidates
# ---------------------------------------------------------------------------------------------


def by_all_words(segment: Segment, embedder: Embedder, query: Query, depth: int) -> list[Candidate]:
    """The best `depth` posts that match a query as it stands, best first."""
    match = compiled(query.root, segment.text.schema)
    found = _proposed(segment, query.terms, match, depth)
    return _ranked(segment, query.terms, found, embedder.embed([query.text]))


def by_some_words(
    segment: Segment, embedder: Embedder | None, query: Query, depth: int
) -> list[Candidate]:
    """The best `depth` posts for words that need not all be there, or that are alike in meaning,
    best first.

    Without an embedder this is BM25 alone, with no feedback either.
    """
    bound = _bound(query, segment.text.schema)
    found = _proposed(segment, query.terms, bound, depth, some_word=True)
    if embedder is None:
        return _ranked(segment, query.terms, found, None)
    vector = embedder.embed([query.text])
    found += _proposed(
        segment, _with_feedback(segment, query.terms, found), bound, depth, some_word=True
    )
    found += [n for n, _ in neighbours(segment, vector, bound)]
    return _ranked(segment, query.terms, list(dict.fromkeys(found)), vector)[:depth]


def newest(segment: Segment, match: tantivy.Query, depth: int) -> list[int]:
    """The ordinals of matching posts, newest first: ordinals are given in the order of time."""
    result = segment.searcher.search(match, depth, count=False, order_by_field="ordinal")
    return segment.searcher.fast_field_values("ordinal", [address for _, address in result.hits])


def neighbours(
    segment: Segment, vector: np.ndarray, bound: tantivy.Query | None, count: int = _NEIGHBOURS
) -> list[tuple[int, float]]:
    """(ordinal, cosine) of the posts nearest to a vector (1, dimensions) among those that match,
    nearest first.
    """
    if segment.vectors is None or not vector.any():
        return []
    if bound is None:
        return _nearest(segment, vector, count)
    matching = segment.searcher.search(bound, 1).count
    if matching <= _SELECTIVE:
        return _nearest(segment, vector, count, newest(segment, bound, max(1, matching)))
    wide = min(segment.facts.posts, count * segment.facts.posts // matching + count)
    found = _nearest(segment, vector, wide)
    among = tantivy.Query.term_set_query(segment.text.schema, "ordinal", [n for n, _ in found])
    kept = set(
        newest(
            segment, tantivy.Query.boolean_query([(Occur.Must, bound), (Occur.Must, among)]), wide
        )
    )
    return [(n, cosine) for n, cosine in found if n in kept][:count]


def _bound(query: Query, schema: tantivy.Schema) -> tantivy.Query | None:
    """What binds even where words are only wished for; None if nothing does."""
    binding = query.without_plain_words()
    return compiled(binding, schema) if binding.parts else None


def _proposed(
    segment: Segment,
    terms: Sequence[str] | Mapping[str, float],
    match: tantivy.Query | None,
    depth: int,
    some_word: bool = False,
) -> list[int]:
    """The text engine's own best for weighted terms, among the posts that match (and have some
    term).
    """
    schema = segment.text.schema
    weights = terms if isinstance(terms, Mapping) else dict.fromkeys(terms, 1.0)
    wishes = [
        (
            Occur.Should,
            tantivy.Query.boost_query(
                tantivy.Query.term_query(schema, "terms", term, "freq"), weight
            ),
        )
        for term, weight in weights.items()
    ]
    asked = [(Occur.Must if some_word else Occur.Should, tantivy.Query.boolean_query(wishes))]
    if match is not None:
        asked.append((Occur.Must, tantivy.Query.const_score_query(match, 0.0)))
    result = segment.searcher.search(tantivy.Query.boolean_query(asked), depth, count=False)
    return segment.searcher.fast_field_values("ordinal", [address for _, address in result.hits])


def _nearest(
    segment: Segment, vector: np.ndarray, count: int, among: Sequence[int] | None = None
) -> list[tuple[int, float]]:
    """(ordinal, cosine) of the nearest vectors; among some ordinals the comparison is with all of
    them.
    """
    is_lists = isinstance(segment.vectors, faiss.IndexIVF)
    options = {}
    if among is not None:
        options["sel"] = faiss.IDSelectorBatch(np.asarray(among, dtype=np.int64))
    if is_lists:
        options["nprobe"] = _PROBES if among is None else segment.vectors.nlist
    kind = faiss.SearchParametersIVF if is_lists else faiss.SearchParameters
    cosines, ordinals = segment.vectors.search(
        vector, min(count, segment.facts.posts), params=kind(**options)
    )
    return [
        (n, c) for n, c in zip(ordinals[0].tolist(), cosines[0].tolist(), strict=True) if n >= 0
    ]


# Scores
# -------------------------------------------------------------------------------------------------


def _ranked(
    segment: Segment, terms: Sequence[str], ordinals: Sequence[int], vector: np.ndarray | None
) -> list[Candidate]:
    """Candidates in their final order: by score, then newest; without a vector by BM25 alone."""
    if not ordinals:
        return []
    documents = segment.terms_of(ordinals)
    parts = {"bm25": _bm25(segment, rank.even(terms), documents)}
    if vector is not None:
        parts["feedback"] = _bm25(
            segment, _shared_terms(segment, documents, parts["bm25"]), documents
        )
        parts["vector"] = _cosines(segment, vector, ordinals)
    scores = rank.blend(parts, rank.feedback_share(len(terms)))
    candidates = [
        Candidate(n, float(scores[i]), {name: float(part[i]) for name, part in parts.items()})
        for i, n in enumerate(ordinals)
    ]
    return sorted(candidates, key=lambda c: (-c.score, -c.ordinal))


def _with_feedback(
    segment: Segment, terms: Sequence[str], ordinals: Sequence[int]
) -> dict[str, float]:
    """A query's own terms joined by those that its best posts share, weighted."""
    documents = segment.terms_of(ordinals)
    extra = _shared_terms(segment, documents, _bm25(segment, rank.even(terms), documents))
    return rank.joined(rank.even(terms), extra, rank.feedback_share(len(terms)))


def _shared_terms(
    segment: Segment, documents: Sequence[Sequence[str]], scores: np.ndarray
) -> dict[str, float]:
    order = np.argsort(-scores, kind="stable")[: rank.FEEDBACK_POSTS]
    best = [n for n in order.tolist() if scores[n] > 0]
    chosen = [documents[n] for n in best]
    telling = {term for document in chosen for term in document} - _STOP_TERMS
    return rank.shared_terms(chosen, scores[best], statistics_of(segment, telling))


def _bm25(
    segment: Segment, weights: Mapping[str, float], documents: Sequence[Sequence[str]]
) -> np.ndarray:
    return rank.bm25(weights, documents, statistics_of(segment, weights))


def statistics_of(segment: Segment, terms: Iterable[str]) -> rank.Statistics:
    """What ranking needs to know of the segment about some terms."""
    posts_with = {term: segment.searcher.doc_freq("terms", term) for term in sorted(terms)}
    return rank.Statistics(
        segment.facts.posts, segment.facts.terms / max(1, segment.facts.posts), posts_with
    )


def _cosines(segment: Segment, vector: np.ndarray, ordinals: Sequence[int]) -> np.ndarray:
    if segment.vectors is None or not vector.any():
        return np.zeros(len(ordinals))
    near = dict(_nearest(segment, vector, len(ordinals), ordinals))
    return np.array([near.get(n, 0.0) for n in ordinals])
