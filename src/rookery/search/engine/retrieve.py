"""Retrieval: from a query tree to ranked candidates, by words, by meaning or by time.

The required parts of a query (phrases, fields, dates, exclusions) hold in every retriever, and so
does the scope of whoever asks. For a search, vectors only change the order of what matches; for a
question they also bring posts that have none of its words. Whether a candidate may be shown is
decided once more when it is shown (`visible.py`); how what was found is ranked is in `scored.py`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tantivy
from tantivy import FieldType, Occur

from rookery.core.protocols import Embedder
from rookery.search.engine.fields import count_of, named_query
from rookery.search.engine.match import compiled
from rookery.search.engine.nearest import nearest
from rookery.search.engine.reader import View
from rookery.search.engine.scored import (
    Candidate,
    Matches,
    even,
    ranked,
    wanted_of,
    with_feedback,
)
from rookery.search.query import Query
from rookery.search.ranking.features import shared_terms
from rookery.search.ranking.ranker import Weights

_MOST_AT_ONCE = 1 << 20  # the text engine allocates room for as many hits as are asked for


def by_all_words(
    view: View, embedder: Embedder, query: Query, depth: int, weights: Weights
) -> list[Candidate]:
    """Return the best `depth` posts that match all of a query, best first.

    weights: the learned order, which is used where the texts are posts (`ranker.suits`).
    """
    found = with_all_words(view, query, depth)
    return ranked(view, wanted_of(view.analyses, query, embedder), found, weights)


def with_all_words(view: View, query: Query, depth: int) -> Matches:
    """Return the `depth` posts with all of a query that the text engine itself ranks best."""
    match = compiled(query.root, view.schema, view.analyses)
    return _proposed(view, even(query.groups(view.analyses)), match, depth)


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
    terms = query.groups(view.analyses)
    found = with_some_words(view, query, even(terms), depth)
    wanted = wanted_of(view.analyses, query, embedder)
    if wanted.vector is None:
        return ranked(view, wanted, found, None)
    best, gains = shared_terms(wanted, view.columns, found.ordinals, view.statistics)
    expanded = with_feedback(terms, gains, view.posts_at([found.addresses[n] for n in best]))
    found = found.with_others(with_some_words(view, query, expanded, depth))
    found = found.with_others(near_in_meaning(view, query, wanted.vector))
    return ranked(view, wanted, found, weights)[:depth]


def with_some_words(view: View, query: Query, weights: Mapping[str, float], depth: int) -> Matches:
    """Return the `depth` posts with some weighted term that the text engine itself ranks best."""
    return _proposed(view, weights, _required(view, query), depth, some_word=True)


def near_in_meaning(view: View, query: Query, vector: np.ndarray) -> Matches:
    """Return the posts nearest to a vector that have what a query requires, nearest first."""
    near = nearest(view, vector, matching(view, _required(view, query)))
    return Matches(near, [view.address_of(n) for n in near.tolist()])


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


def with_words_of(view: View, same: int, most: int) -> list[Candidate]:
    """Return posts with the same words (`Columns.same`), the last that arrived first, no score."""
    found = np.flatnonzero(view.columns.same == np.uint64(same))
    found = found[np.isin(found, view.findable)][::-1]
    found = found[view.in_scope(found)][:most]
    return [Candidate(n, 0.0, view.address_of(n)) for n in found.tolist()]


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
