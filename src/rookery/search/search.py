"""Searching: a query as typed to the posts that are shown.

Retrieval proposes (`retrieve.py`), the gate disposes (`visible.py`): every post is checked against
the policy and the live log of this moment, and the page is filled up again with the next ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import tantivy
from tantivy import FieldType, Occur

from rookery.core.verdict import KEEP, Drop, Tally
from rookery.posts.post import Use
from rookery.search.index import SearchIndex
from rookery.search.query import Query, parse
from rookery.search.retrieve import Candidate, by_all_words, compiled, newest
from rookery.search.visible import reasons_against

Mode = Literal["best", "latest"]

COPY = "copy"
_DEPTH = 200
_CHECKED_AT_ONCE = 64


@dataclass(frozen=True)
class Hit:
    """A post that was found. `parts` are what its score is made of; `copies` how many posts say the same."""

    id: str
    author: str
    text: str
    created: datetime
    language: str | None
    score: float
    parts: dict[str, float]
    likes: int | None = None
    copies: int = 0
    has_all_words: bool = True


@dataclass(frozen=True)
class Results:
    """What a search found, the query in plain words, and how many were left out for which reason."""

    hits: tuple[Hit, ...]
    understood: str
    left_out: dict[str, int] = field(default_factory=dict)


def search(index: SearchIndex, text: str, limit: int = 10, mode: Mode = "best") -> Results:
    """The best (or latest) `limit` posts for a query; every one may be shown at the moment of return.

    best: by words, feedback and vectors; copies of one text are shown once.
    latest: newest first; posts that claim a time still to come stand last.
    """
    query = parse(text)
    depth, before = max(_DEPTH, 2 * limit), -1
    while True:
        candidates = _candidates(index, query, depth, mode)
        hits, tally = shown(index, candidates, limit, fold_copies=mode == "best")
        if len(hits) == limit or len(candidates) in (before, index.segment.facts.posts):
            return Results(tuple(hits), _said(query, hits), dict(tally.dropped))
        depth, before = 4 * depth, len(candidates)


def shown(
    index: SearchIndex, candidates: Sequence[Candidate], limit: int, use: Use = "search", fold_copies: bool = True
) -> tuple[list[Hit], Tally]:
    """The first `limit` candidates that may be shown now, as hits; and why others were left out."""
    hits: dict[str, Hit] = {}
    tally = Tally()
    for start in range(0, len(candidates), _CHECKED_AT_ONCE):
        part = candidates[start : start + _CHECKED_AT_ONCE]
        rows = index.segment.take([c.ordinal for c in part])
        reasons = reasons_against(index.home, rows, use)
        for candidate, row, reason in zip(part, rows.to_pylist(), reasons, strict=True):
            name = row["same"] if fold_copies else row["id"]
            if reason is None and name in hits:
                reason = COPY
                hits[name] = replace(hits[name], copies=hits[name].copies + 1)
            tally.count(KEEP if reason is None else Drop(reason))
            if reason is None:
                hits[name] = _hit(candidate, row)
            if len(hits) == limit:
                return list(hits.values()), tally
    return list(hits.values()), tally


def _hit(candidate: Candidate, row: dict[str, Any]) -> Hit:
    return Hit(
        **{name: row[name] for name in ("id", "author", "text", "created", "language", "likes")},
        score=round(candidate.score, 6),
        parts={name: round(value, 6) for name, value in candidate.parts.items()},
        has_all_words=candidate.tier == 0,
    )


def _candidates(index: SearchIndex, query: Query, depth: int, mode: Mode) -> list[Candidate]:
    if mode == "best" and query.terms:
        return by_all_words(index.segment, index.embedder, query, depth)
    return _latest(index, query, depth)


def _latest(index: SearchIndex, query: Query, depth: int) -> list[Candidate]:
    """Newest first, scored by their place; posts dated later than now last, so that no one gains by it."""
    schema = index.segment.text.schema
    now_seconds = int(index.clock.now().timestamp())
    to_come = tantivy.Query.range_query(schema, "created", FieldType.Integer, now_seconds + 1)
    match = compiled(query.root, schema)
    past = tantivy.Query.boolean_query([(Occur.Must, match), (Occur.MustNot, to_come)])
    found = newest(index.segment, past, depth)
    if len(found) < depth:
        found += newest(index.segment, tantivy.Query.boolean_query([(Occur.Must, match), (Occur.Must, to_come)]), depth)
    return [Candidate(n, 0, 1 / place, {}) for place, n in enumerate(found[:depth], 1)]


def _said(query: Query, hits: Sequence[Hit]) -> str:
    """The query in plain words, and what was done where it found too little."""
    complete = sum(hit.has_all_words for hit in hits)
    if complete == len(hits):
        return query.understood
    which = "no post has" if complete == 0 else "one post has" if complete == 1 else f"{complete} posts have"
    after = "these have some of them or are close in meaning" if complete == 0 else "then some of them, or close"
    return f"{query.understood}; {which} all of this, {after}"
