"""Hits: posts that were found, as they are shown, each of which may be shown at this moment.

The gate (`visible.py`) is asked once more when a post is shown, unless the live log has not moved
since retrieval asked it. Not here: which posts are found (`engine/retrieve.py`) and how they become
a page (`pages.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from rookery.posts.post import Use
from rookery.search.engine.analysis import same_words_digest
from rookery.search.engine.retrieve import Candidate
from rookery.search.highlight import matches
from rookery.search.index import SearchIndex
from rookery.search.query import Query
from rookery.search.visible import reasons_against

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
    index: SearchIndex, candidates: Sequence[Candidate], use: Use = "search"
) -> Iterator[Hit]:
    """Yield the candidates that may be shown now, in their order."""
    for start in range(0, len(candidates), _CHECKED_AT_ONCE):
        part = candidates[start : start + _CHECKED_AT_ONCE]
        rows = index.view.posts_at([c.address for c in part])
        # what retrieval found may be searched; the other uses, and a log that moved on, are asked
        reasons: list[str | None] = [None] * len(rows)
        if use != "search" or not index.is_of_now():
            reasons = reasons_against(index.home, rows, use, index.view.cursor.log)
        for candidate, row, reason in zip(part, rows, reasons, strict=True):
            if reason is None:
                yield _hit(candidate, row)


def shown(
    index: SearchIndex, candidates: Sequence[Candidate], limit: int, use: Use = "search"
) -> list[Hit]:
    """Return the first `limit` candidates that may be shown now."""
    return list(islice(visible_hits(index, candidates, use), limit))


_COPIED = ("id", "author", "text", "created", "language", "likes", "reposts", "replies",
           "reply_to", "quote_of", "conversation", "source")  # fmt: skip


def marked(hit: Hit, query: Query) -> Hit:
    """Return a hit with the ranges of its text that match a query."""
    return replace(hit, highlights=matches(hit.text, query.root, hit.language))


def _hit(candidate: Candidate, row: dict[str, Any]) -> Hit:
    return Hit(
        **{name: row[name] for name in _COPIED},
        score=round(candidate.score, 6),
        parts={name: round(value, 6) for name, value in candidate.parts.items()},
        sensitive=bool(row.get("sensitive")),
        same=same_words_digest(row["text"]),
        moment=candidate.moment,
    )
