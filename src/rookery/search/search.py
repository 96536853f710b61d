"""Searching: from a query as typed to the posts that are shown.

Retrieval proposes candidates (`engine/retrieve.py`) among the posts that may be found at this
moment; whatever is hidden by now leaves no trace, neither in the hits nor in their scores. The gate
(`visible.py`) asks the policy and the live log once more when a post is shown.
Not here: what a query means (`query.py`), and what a post scores (`ranking/scores.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from rookery.posts.post import Use
from rookery.search.engine.retrieve import Candidate, by_all_words, by_some_words, by_time
from rookery.search.engine.segment import POST_COLUMNS, plain_rows
from rookery.search.index import SearchIndex
from rookery.search.query import Query, parse
from rookery.search.visible import reasons_against

Mode = Literal["best", "latest"]

COPY = "copy"
_RELAXED = "no post has all of this, these have some of the words"
_DEPTH = 200  # candidates at first, many more than a page, since the gate may refuse most of them
_CHECKED_AT_ONCE = 32  # candidates per look at the live log; the first often fill a page
_SHOWN_COLUMNS = (*POST_COLUMNS, "same")


@dataclass(frozen=True)
class Hit:
    """A post that was found; `copies` counts other posts with the same words.

    `parts` are what its score is made of.
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
    """The hits of a search, the query in plain words, and how many copies of them were left out.

    Nothing is told of posts that may not be shown.
    """

    hits: tuple[Hit, ...]
    understood: str
    left_out: dict[str, int] = field(default_factory=dict)


def search_posts(index: SearchIndex, text: str, limit: int = 10, mode: Mode = "best") -> Results:
    """Return the best (or latest) `limit` posts, each of which may be shown at this moment.

    best: by words, feedback and vectors; copies of one text are shown once. If no post has all the
    words, those with some are shown, and `understood` reports it.
    latest: newest first; posts dated in the future come last.
    """
    index, query = index.as_of_now(), parse(text)
    results = _full_page(index, query, limit, mode, relaxed=False)
    if results.hits or mode == "latest" or len(query.plain_words()) < 2:
        return results
    relaxed = _full_page(index, query, limit, mode, relaxed=True)
    understood = f"{query.understood}; {_RELAXED}"
    return replace(relaxed, understood=understood) if relaxed.hits else results


def _full_page(index: SearchIndex, query: Query, limit: int, mode: Mode, relaxed: bool) -> Results:
    depth, before = max(_DEPTH, 2 * limit), -1
    while True:
        candidates = _candidates(index, query, depth, mode, relaxed)
        hits = shown(index, candidates, limit, fold_copies=mode == "best")
        # Stop when the page is full, or when going deeper can bring nothing new.
        if len(hits) == limit or len(candidates) <= before or len(candidates) < depth:
            copies = sum(hit.copies for hit in hits)
            return Results(tuple(hits), query.understood, {COPY: copies} if copies else {})
        depth, before = 4 * depth, len(candidates)


def _candidates(
    index: SearchIndex, query: Query, depth: int, mode: Mode, relaxed: bool
) -> list[Candidate]:
    # A query without words, such as `from:ada`, has nothing to rank by but time.
    if mode == "latest" or not query.terms:
        return by_time(index.segment, query, int(index.clock.now().timestamp()), depth)
    if relaxed:
        found = by_some_words(index.segment, index.embedder, query, depth)
        return [c for c in found if c.parts["bm25"] > 0]  # not those near in meaning alone
    return by_all_words(index.segment, index.embedder, query, depth)


def shown(
    index: SearchIndex,
    candidates: Sequence[Candidate],
    limit: int,
    use: Use = "search",
    fold_copies: bool = True,
) -> list[Hit]:
    """Return the first `limit` candidates that may be shown now."""
    hits: dict[str, Hit] = {}
    for start in range(0, len(candidates), _CHECKED_AT_ONCE):
        part = candidates[start : start + _CHECKED_AT_ONCE]
        rows = index.segment.take([c.ordinal for c in part], _SHOWN_COLUMNS)
        reasons = reasons_against(index.home, rows, use, index.lake_version)
        for candidate, row, reason in zip(part, plain_rows(rows), reasons, strict=True):
            if reason is not None:
                continue
            name = row["same"] if fold_copies else row["id"]
            if name in hits:
                hits[name] = replace(hits[name], copies=hits[name].copies + 1)
            else:
                hits[name] = _hit(candidate, row)
            if len(hits) == limit:
                return list(hits.values())
    return list(hits.values())


def _hit(candidate: Candidate, row: dict[str, Any]) -> Hit:
    return Hit(
        **{name: row[name] for name in ("id", "author", "text", "created", "language", "likes")},
        score=round(candidate.score, 6),
        parts={name: round(value, 6) for name, value in candidate.parts.items()},
    )
