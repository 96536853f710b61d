"""Hits: posts that were found, as they are shown, each of which may be shown at this moment.

The index asks the gate once more when a post is shown (`PostIndex.rows`). Not here: which posts
are found (`engine/retrieve.py`) and how they become a page (`pages.py`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice, pairwise
from typing import Any

from rookery.posts.post import Use
from rookery.search.engine.scored import Candidate
from rookery.search.highlight import marker_of
from rookery.search.index import PostIndex
from rookery.search.query import Query

_CHECKED_AT_ONCE = 32  # candidates per look at the live log; the first often fill a page


@dataclass(frozen=True)
class Hit:
    """A post that was found; `copies` counts other posts with the same words.

    `parts` are what its score is made of. likes, reposts and replies are None where the source does
    not report them. highlights: ranges of characters of the text that matched. same: a hash of its
    words, equal for copies. moment: its place in the order of time.
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
    reposts: int | None = None
    replies: int | None = None
    reply_to: str | None = None
    quote_of: str | None = None
    conversation: str | None = None
    sensitive: bool = False
    source: str = ""
    highlights: tuple[tuple[int, int], ...] = ()
    same: str = ""
    moment: int = 0


def visible_hits(
    index: PostIndex,
    candidates: Sequence[Candidate],
    use: Use = "search",
    expected: int = _CHECKED_AT_ONCE,
) -> Iterator[Hit]:
    """Yield the candidates that may be shown now, in their order.

    expected: how many are likely to be needed, which are looked at together.
    """
    starts = [0, *range(expected, len(candidates), _CHECKED_AT_ONCE)]
    for start, end in pairwise([*starts, len(candidates)]):
        part = candidates[start:end]
        for candidate, row in zip(part, index.rows(part, use), strict=True):
            if row is not None:
                yield _hit(candidate, row)


def shown(
    index: PostIndex, candidates: Sequence[Candidate], limit: int, use: Use = "search"
) -> list[Hit]:
    """Return the first `limit` candidates that may be shown now."""
    return list(islice(visible_hits(index, candidates, use), limit))


_COPIED = ("id", "author", "text", "created", "language", "likes", "reposts", "replies",
           "reply_to", "quote_of", "conversation", "source", "same")  # fmt: skip


def marked(
    hits: Iterable[Hit], query: Query, copies: Mapping[str, int] | None = None
) -> tuple[Hit, ...]:
    """Return hits with the ranges of their texts that match a query, and how many copies each has.

    copies: by `Hit.same`.
    """
    marker, counted = marker_of(query.root), copies or {}
    return tuple(
        replace(
            hit,
            highlights=marker.ranges(hit.text, hit.language),
            copies=counted.get(hit.same, hit.copies),
        )
        for hit in hits
    )


def _hit(candidate: Candidate, row: dict[str, Any]) -> Hit:
    return Hit(
        **{name: row[name] for name in _COPIED},
        score=round(candidate.score, 6),
        parts=candidate.parts,
        sensitive=bool(row.get("sensitive")),
        moment=candidate.moment,
    )
