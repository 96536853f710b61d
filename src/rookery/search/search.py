"""Searching: a query as typed to the posts that are shown.

Retrieval proposes (`retrieve.py`), the gate disposes (`visible.py`): every post is checked against
the policy and the live log of this moment, and the page is filled up again with the next ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pyarrow as pa
import tantivy
from tantivy import FieldType, Occur

from rookery.core.verdict import KEEP, Drop, Tally
from rookery.posts.post import Use
from rookery.search.engine.retrieve import Candidate, by_all_words, by_some_words, compiled, newest
from rookery.search.engine.segment import POST_COLUMNS
from rookery.search.index import SearchIndex
from rookery.search.query import Query, parse
from rookery.search.visible import reasons_against

Mode = Literal["best", "latest"]

COPY = "copy"
_RELAXED = "no post has all of this, these have some of the words"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEPTH = 200
_CHECKED_AT_ONCE = 32
_SHOWN_COLUMNS = (*POST_COLUMNS, "same")


@dataclass(frozen=True)
class Hit:
    """A post that was found. `parts` are what its score is made of; `copies` how many posts say the
    same.
    """

    id: str
    author: str
    text: str
    created: datetime
    language: str | None
    score: float
    parts: dict[str, float]
    likes: int | None = None
    copies: int = 0


@dataclass(frozen=True)
class Results:
    """What a search found, the query in plain words, and how many were left out for which
    reason.
    """

    hits: tuple[Hit, ...]
    understood: str
    left_out: dict[str, int] = field(default_factory=dict)


def search(index: SearchIndex, text: str, limit: int = 10, mode: Mode = "best") -> Results:
    """The best (or latest) `limit` posts for a query; every one may be shown at the moment of
    return.

    best: by words, feedback and vectors; copies of one text are shown once. Where no post has all
    the words, those with some are shown, and `understood` says so.
    latest: newest first; posts that claim a time still to come stand last.
    """
    query = parse(text)
    results = _filled(index, query, limit, mode, relaxed=False)
    if results.hits or mode == "latest" or len(query.plain_words()) < 2:
        return results
    relaxed = _filled(index, query, limit, mode, relaxed=True)
    return (
        replace(relaxed, understood=f"{query.understood}; {_RELAXED}") if relaxed.hits else results
    )


def _filled(index: SearchIndex, query: Query, limit: int, mode: Mode, relaxed: bool) -> Results:
    """A page of `limit` posts if there are so many: what may not be shown is replaced by what comes
    next.
    """
    depth, before = max(_DEPTH, 2 * limit), -1
    while True:
        candidates = _candidates(index, query, depth, mode, relaxed)
        hits, tally = shown(index, candidates, limit, fold_copies=mode == "best")
        if len(hits) == limit or len(candidates) <= before or len(candidates) < depth:
            return Results(tuple(hits), query.understood, dict(tally.dropped))
        depth, before = 4 * depth, len(candidates)


def shown(
    index: SearchIndex,
    candidates: Sequence[Candidate],
    limit: int,
    use: Use = "search",
    fold_copies: bool = True,
) -> tuple[list[Hit], Tally]:
    """The first `limit` candidates that may be shown now, as hits; and why others were left out."""
    hits: dict[str, Hit] = {}
    tally = Tally()
    for start in range(0, len(candidates), _CHECKED_AT_ONCE):
        part = candidates[start : start + _CHECKED_AT_ONCE]
        rows = index.segment.take([c.ordinal for c in part], _SHOWN_COLUMNS)
        reasons = reasons_against(index.home, rows, use, index.lake_version)
        for candidate, row, reason in zip(part, _plain(rows), reasons, strict=True):
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


def _plain(rows: pa.Table) -> list[dict[str, Any]]:
    """Rows as dicts. Times are made here: Arrow looks for a time zone's module anew for every
    single one.
    """
    micros = rows["created"].cast(pa.int64()).to_pylist()
    plain = rows.drop_columns(["created"]).to_pylist()
    return [
        row | {"created": _EPOCH + timedelta(microseconds=n)}
        for row, n in zip(plain, micros, strict=True)
    ]


def _hit(candidate: Candidate, row: dict[str, Any]) -> Hit:
    return Hit(
        **{name: row[name] for name in ("id", "author", "text", "created", "language", "likes")},
        score=round(candidate.score, 6),
        parts={name: round(value, 6) for name, value in candidate.parts.items()},
    )


def _candidates(
    index: SearchIndex, query: Query, depth: int, mode: Mode, relaxed: bool
) -> list[Candidate]:
    if mode == "latest" or not query.terms:
        return _latest(index, query, depth)
    if relaxed:
        found = by_some_words(index.segment, index.embedder, query, depth)
        return [c for c in found if c.parts["bm25"] > 0]
    return by_all_words(index.segment, index.embedder, query, depth)


def _latest(index: SearchIndex, query: Query, depth: int) -> list[Candidate]:
    """Newest first, scored by their place; posts dated later than now last, so that no one gains by
    it.
    """
    schema = index.segment.text.schema
    now_seconds = int(index.clock.now().timestamp())
    to_come = tantivy.Query.range_query(schema, "created", FieldType.Integer, now_seconds + 1)
    match = compiled(query.root, schema)
    past = tantivy.Query.boolean_query([(Occur.Must, match), (Occur.MustNot, to_come)])
    found = newest(index.segment, past, depth)
    if len(found) < depth:
        found += newest(
            index.segment,
            tantivy.Query.boolean_query([(Occur.Must, match), (Occur.Must, to_come)]),
            depth,
        )
    return [Candidate(n, 1 / place, {}) for place, n in enumerate(found[:depth], 1)]
