"""Retrieval: from a query tree to ranked candidates, by words, by meaning or by time.

The required parts of a query (phrases, fields, dates, exclusions) hold in every retriever, and so
does the scope of whoever asks. For a search, vectors only change the order of what matches; for a
question they also bring posts that have none of its words. Whether a candidate may be shown is
decided once more when it is shown (`visible.py`); how scores are computed is in `ranking/`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tantivy
from tantivy import FieldType, Occur

from rookery.core.protocols import Embedder
from rookery.search.engine.analysis import QueryTerm, analyse
from rookery.search.engine.columns import hashed
from rookery.search.engine.fields import count_of, named_query
from rookery.search.engine.match import compiled
from rookery.search.engine.nearest import cosines_of, nearest
from rookery.search.engine.reader import View
from rookery.search.engine.words import STOP_WORDS, exact_tokens
from rookery.search.query import Query
from rookery.search.ranking import scores as rank
from rookery.search.ranking.features import (
    FEATURES,
    Wanted,
    features,
    shared_terms,
    word_scores,
)
from rookery.search.ranking.ranker import Weights, suits
from rookery.search.ranking.variety import damping, stuffing

STUFFED = "stuffed"
"""The part of a score that a post loses which is made of tags."""
_MOST_AT_ONCE = 1 << 20  # the text engine allocates room for as many hits as are asked for


@dataclass(frozen=True, slots=True)
class Candidate:
    """A post that was found: its ordinal and its score.

    moment: its place in the order of time, where it was found by time. names, values: of the parts
    of the score, where it was ranked.
    """

    ordinal: int
    score: float
    address: tantivy.DocAddress
    moment: int = 0
    names: Sequence[str] = ()
    values: Sequence[float] = ()

    @property
    def parts(self) -> dict[str, float]:
        """Return the parts of the score by name; few candidates are asked for them."""
        return dict(zip(self.names, self.values, strict=True))


@dataclass(frozen=True)
class Matches:
    """Posts that the text engine found: ordinals, int64 (n,), and where it has them."""

    ordinals: np.ndarray
    addresses: Sequence[tantivy.DocAddress]

    def with_others(self, other: "Matches") -> "Matches":
        """Return these, and after them those of another search that are not among them."""
        new = np.flatnonzero(~np.isin(other.ordinals, self.ordinals))
        _, once = np.unique(other.ordinals[new], return_index=True)
        new = new[np.sort(once)]
        return Matches(
            np.concatenate([self.ordinals, other.ordinals[new]]),
            [*self.addresses, *(other.addresses[n] for n in new.tolist())],
        )


def by_all_words(
    view: View, embedder: Embedder, query: Query, depth: int, weights: Weights
) -> list[Candidate]:
    """Return the best `depth` posts that match all of a query, best first.

    weights: the learned order, which is used where the texts are posts (`ranker.suits`).
    """
    terms = query.groups(view.analyses)
    match = compiled(query.root, view.schema, view.analyses)
    found = _proposed(view, _even(terms), match, depth)
    return ranked(view, wanted_of(view, query, embedder), found, weights)


def by_some_words(
    view: View,
    embedder: Embedder | None,
    query: Query,
    depth: int,
    weights: Weights | None = None,
) -> list[Candidate]:
    """Return the best `depth` posts that have some of the words or are near in meaning, best first.

    Without an embedder this is BM25 alone, with no feedback either. weights: the learned order;
    None for that of words with feedback and of vectors by the embedder's weight.
    """
    required = _required(view, query)
    terms = query.groups(view.analyses)
    found = _proposed(view, _even(terms), required, depth, some_word=True)
    wanted = wanted_of(view, query, embedder)
    if embedder is None or wanted.vector is None:
        return ranked(view, wanted, found, None)
    expanded = _with_feedback(view, terms, wanted, found)
    found = found.with_others(_proposed(view, expanded, required, depth, some_word=True))
    near = nearest(view, wanted.vector, matching(view, required))
    addresses = [view.address_of(n) for n in near.tolist()]
    found = found.with_others(Matches(near, addresses))
    return ranked(view, wanted, found, weights)[:depth]


def wanted_of(view: View, query: Query, embedder: Embedder | None) -> Wanted:
    """Return a query as ranking sees it; without an embedder it has no vector."""
    terms = query.groups(view.analyses)
    words = list(exact_tokens(query.text))
    weighty = [word for word in words if word not in STOP_WORDS]
    return Wanted(
        tuple(hashed(term.variants) for term in terms),
        hashed(weighty or words),
        None if embedder is None else embedder.embed([query.text])[0],
        0.0 if embedder is None else embedder.weight,
    )


def by_time(
    view: View, query: Query, future_from: int, depth: int, before: int | None = None
) -> list[Candidate]:
    """Return the newest `depth` posts that match all of a query, scored by their place.

    Posts from the moment `future_from` on come last, so that nobody gains by a wrong date. before:
    only posts that come after this moment in the list.
    """
    match = compiled(query.root, view.schema, view.analyses)
    is_in_future = before is not None and before >= future_from
    found = _newest(view, match, depth, None, None) if before is None else []
    if not found or found[0][0] >= future_from:  # else nothing is in the future, as mostly
        found = []
        if not is_in_future:
            found = _newest(view, match, depth, None, future_from if before is None else before)
        if len(found) < depth:
            below = before if is_in_future else None
            found += _newest(view, match, depth - len(found), future_from, below)
    return [
        Candidate(ordinal, 1 / place, address, moment)
        for place, (moment, ordinal, address) in enumerate(found, 1)
    ]


def _newest(
    view: View, match: tantivy.Query, depth: int, low: int | None, below: int | None
) -> list[tuple[int, int, tantivy.DocAddress]]:
    """Return (moment, ordinal, address) of matching posts from a moment on and below another."""
    if low is not None or below is not None:
        high = (1 << 64) - 1 if below is None else below - 1
        kind = FieldType.Unsigned
        within = tantivy.Query.range_query(view.schema, "moment", kind, low or 0, high)
        match = tantivy.Query.boolean_query([(Occur.Must, match), (Occur.Must, within)])
    found = _first(view, match, depth, by="moment")
    moments = view.searcher.fast_field_values("moment", list(found.addresses))
    return [
        (int(moment or 0), ordinal, address)
        for moment, ordinal, address in zip(
            moments, found.ordinals.tolist(), found.addresses, strict=True
        )
    ]


def has_words(candidate: Candidate) -> bool:
    """Return whether a candidate has some word of the query, and is not near in meaning alone."""
    return bool(candidate.parts.get("bm25"))


def at_ordinals(view: View, ordinals: Sequence[int]) -> list[Candidate]:
    """Return posts that may be found as candidates without a score."""
    return [Candidate(n, 0.0, view.address_of(n)) for n in ordinals]


def with_value(view: View, field: str, values: Sequence[str], most: int) -> list[Candidate]:
    """Return the newest posts that have one of some values in a field, without a score."""
    match = tantivy.Query.term_set_query(view.schema, field, list(values))
    found = _newest(view, match, most, None, None)
    return [Candidate(n, 0.0, address, moment) for moment, n, address in found]


def among_ids(view: View, query: Query, ids: Sequence[str]) -> list[Candidate]:
    """Return those of some posts that match all of a query, newest first, without a score."""
    match = compiled(query.root, view.schema, view.analyses)
    named = tantivy.Query.term_set_query(view.schema, "id", list(ids))
    both = tantivy.Query.boolean_query([(Occur.Must, match), (Occur.Must, named)])
    found = _newest(view, both, len(ids), None, None)
    return [Candidate(n, 0.0, address, moment) for moment, n, address in found]


def posts_of(view: View, names: Sequence[str]) -> Matches:
    """Return the posts that have one of the names as id or as author's name.

    Authors are looked up in one case, so that some posts may be of authors of a similar name. Posts
    that are withheld are among them.
    """
    either = named_query(view.schema, names)
    count = count_of(view.searcher, either)
    return _asked(view, either, max(1, count), None)[0]


def _first(view: View, match: tantivy.Query, depth: int, by: str | None = None) -> Matches:
    """Return the first `depth` posts by the engine's own score, or by a field, highest first.

    The next ones take the places of those that may not be found.
    """
    asked = depth
    while True:
        found, is_all = _asked(view, match, asked, by)
        free = np.flatnonzero(view.free(found.ordinals))
        if len(free) >= depth or is_all:
            free = free[:depth]
            return Matches(found.ordinals[free], [found.addresses[n] for n in free.tolist()])
        asked = min(4 * asked, _MOST_AT_ONCE)


def _asked(view: View, match: tantivy.Query, asked: int, by: str | None) -> tuple[Matches, bool]:
    """Return what the engine finds first, and whether that is all."""
    hits = view.searcher.search(match, asked, count=False, order_by_field=by).hits
    addresses = [address for _, address in hits]
    ordinals = view.searcher.fast_field_values("ordinal", addresses)
    if None in ordinals:  # the document with the cursor is no post
        place = ordinals.index(None)
        del ordinals[place], addresses[place]
    is_all = len(hits) < min(asked, view.searcher.num_docs) or asked >= _MOST_AT_ONCE
    return Matches(np.array(ordinals, np.int64), addresses), is_all


def matching(view: View, match: tantivy.Query | None) -> np.ndarray:
    """Return the ordinals of matching posts that may be found, whoever asks, in rising order.

    match: None for every post.
    """
    if match is None:
        return view.findable
    count = count_of(view.searcher, match)
    ordinals = np.sort(_asked(view, match, max(1, count), None)[0].ordinals)
    return ordinals[np.isin(ordinals, view.withheld.sorted, invert=True)]


def _required(view: View, query: Query) -> tantivy.Query | None:
    """Return what stays required when plain words become optional; None if nothing does."""
    required = query.without_plain_words()
    return compiled(required, view.schema, view.analyses) if required.parts else None


def _proposed(
    view: View,
    weights: Mapping[str, float],
    match: tantivy.Query | None,
    depth: int,
    some_word: bool = False,
) -> Matches:
    """Return the posts that the text engine itself ranks best for weighted terms.

    match: only posts that match this; None for any. some_word: only posts that have some term.
    """
    optional = [
        (Occur.Should, tantivy.Query.boost_query(_term(view.schema, term), weight))
        for term, weight in weights.items()
    ]
    clauses = [(Occur.Must if some_word else Occur.Should, tantivy.Query.boolean_query(optional))]
    if match is not None:
        clauses.append((Occur.Must, tantivy.Query.const_score_query(match, 0.0)))
    return _first(view, tantivy.Query.boolean_query(clauses), depth)


def _term(schema: tantivy.Schema, term: str) -> tantivy.Query:
    return tantivy.Query.term_query(schema, "terms", term, "freq")


def _even(terms: Sequence[QueryTerm]) -> dict[str, float]:
    return {variant: 1 / len(terms) for term in terms for variant in term.variants}


def _with_feedback(
    view: View, terms: Sequence[QueryTerm], wanted: Wanted, found: Matches
) -> Mapping[str, float]:
    """Return a query's own terms and those that its best posts share, weighted.

    The columns have no spelling of a term, so that the best posts are analysed again for it.
    """
    own = _even(terms)
    best, gains = shared_terms(wanted, view.columns, found.ordinals, view.statistics)
    texts = view.posts_at([found.addresses[n] for n in best])
    spelled = {
        term
        for post in texts
        for term in analyse(post["text"], post["language"], post["alt_text"]).terms
    }
    by_hash = dict(zip(hashed(sorted(spelled)).tolist(), sorted(spelled), strict=True))
    shared = {by_hash[term]: gain for term, gain in gains.items() if term in by_hash}
    return rank.joined(own, shared, rank.feedback_share(len(terms)))


# Scores
# -------------------------------------------------------------------------------------------------


def ranked(view: View, wanted: Wanted, found: Matches, weights: Weights | None) -> list[Candidate]:
    """Score candidates and sort them: by score, then newest.

    weights: the learned order. Without weights, or where the texts are no posts, words with
    feedback and vectors are blended; without a vector it is BM25 alone.
    """
    if not len(found.ordinals):
        return []
    if weights is not None and suits(view.statistics.average_terms):
        known = features(wanted, view.columns, found.ordinals, view.statistics)
        names: Sequence[str] = FEATURES
        parts = weights.parts(known, len(wanted.terms))
        scores = weights.scores(known, len(wanted.terms))
    else:
        names, parts, scores = _blended(view, wanted, found)
    change = damping(scores, stuffing(view.columns, found.ordinals))
    scores, parts, names = scores + change, np.column_stack([parts, change]), [*names, STUFFED]
    order = np.lexsort((-found.ordinals, -view.columns.created[found.ordinals], -scores))
    places, ordinals = order.tolist(), found.ordinals[order].tolist()
    values = parts[order].round(6).tolist()
    return [
        Candidate(n, score, found.addresses[place], names=names, values=of)
        for place, n, score, of in zip(
            places, ordinals, scores[order].tolist(), values, strict=True
        )
    ]


def _blended(
    view: View, wanted: Wanted, found: Matches
) -> tuple[Sequence[str], np.ndarray, np.ndarray]:
    """Return the names of the parts, the parts and the scores of the order that is not learned."""
    words, feedback = word_scores(wanted, view.columns, found.ordinals, view.statistics)
    raw = {"bm25": words}
    if wanted.vector is not None:
        near = cosines_of(view, wanted.vector, found.ordinals).astype(np.float64)
        raw |= {"feedback": feedback, "vector": near}
    terms = max(1, len(wanted.terms))
    weight = rank.vector_weight(wanted.vector_weight, terms)
    scores = rank.blend(raw, rank.feedback_share(terms), weight)
    return list(raw), np.stack(list(raw.values()), axis=1), scores
