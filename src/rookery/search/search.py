"""Searching: from a query as typed to the pages of posts that are shown.

Retrieval proposes candidates (`engine/retrieve.py`) among the posts that may be found at this
moment; whatever is hidden by now leaves no trace, neither in the hits nor in their scores. A page
is filled with the best of them (`pages.py`), and each is looked at once more before it is shown
(`hits.py`). Not here: what a query means (`query.py`), in what order posts come
(`ranking/ranker.py`), and how a cursor is written (`cursor.py`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo

from rookery.core.errors import UsageError
from rookery.search.answers.question import is_question, topic_of
from rookery.search.cursor import Place, Shown, after_page, decode, encode
from rookery.search.engine.fields import moment_after
from rookery.search.hits import Hit, marked
from rookery.search.index import PostIndex
from rookery.search.pages import Asked, Mode, page_of
from rookery.search.query import Query, parse
from rookery.search.scope import KnownReader

COPY = "copy"
_RELAXED = "no post has all of this, these have some of the words"


@dataclass(frozen=True)
class Results:
    """The hits of a search, the query in plain words, and how many copies of them were left out.

    cursor: asks for the next page; None where there is none. Nothing is told of posts that may not
    be shown.
    """

    hits: tuple[Hit, ...]
    understood: str
    left_out: dict[str, int] = field(default_factory=dict)
    cursor: str | None = None


def search_posts(
    index: PostIndex,
    text: str,
    limit: int = 10,
    mode: Mode = "best",
    cursor: str | None = None,
    zone: tzinfo = UTC,
    reader: KnownReader | None = None,
) -> Results:
    """Return the best (or latest) `limit` posts, each of which may be shown at this moment.

    best: by words, feedback and vectors; copies of one text are shown once, at most a third of a
    page is of one author while there are others, and posts made of tags come later. If no post has
    all the words, those with some are shown, and `understood` reports it.
    latest: newest first; posts dated in the future come last.
    cursor: that of the page before, from the same search. Raises `UsageError` for any other.
    zone: where the days of the query begin. reader: whoever asks, who sees no post out of their
    scope; None for a stranger.
    """
    index = index.as_of_now(reader)
    query = parse(text, index.clock.now(), zone)
    after = _after(index, text, mode, cursor)
    relaxed = isinstance(after, Shown) and after.relaxed
    asked = _about(text, query) if relaxed else query
    results = _page(index, Asked(text, asked, limit, mode, after, relaxed))
    may_relax = mode == "best" and cursor is None and len(query.plain_words()) >= 2
    if results.hits or not may_relax:
        return results
    some = _page(index, Asked(text, _about(text, query), limit, mode, after, relaxed=True))
    return some if some.hits else results


def _about(text: str, query: Query) -> Query:
    """Return what a question is about, without words that only ask; other queries as they are."""
    return replace(query, root=topic_of(text).root) if is_question(text) else query


def _after(index: PostIndex, text: str, mode: Mode, cursor: str | None) -> Shown | Place:
    """Return where a page begins; for the first page nothing was shown, and no post is behind."""
    kind = Place if mode == "latest" else Shown
    if cursor is not None:
        after = decode(cursor, text)
        if not isinstance(after, kind):
            raise UsageError(
                "this cursor is of another order of the posts", hint="Leave it out, or change it"
            )
        return after
    if kind is Shown:
        return Shown(())
    return Place(None, moment_after(index.clock.now()))


def _page(index: PostIndex, search: Asked) -> Results:
    copies: Counter[str] = Counter()
    hits, more = page_of(index, search, copies)
    shown = marked(hits, search.query, copies)
    left_out = sum(hit.copies for hit in shown)
    remarks = [_RELAXED] if search.relaxed else []
    return Results(
        shown,
        "; ".join([search.query.understood, *remarks]),
        {COPY: left_out} if left_out else {},
        _next(search, shown) if more else None,
    )


def _next(search: Asked, hits: Sequence[Hit]) -> str | None:
    """Return the cursor behind a page."""
    after: Shown | Place | None
    if isinstance(search.after, Place):
        after = replace(search.after, moment=hits[-1].moment)
    else:
        after = after_page(search.after, [hit.same for hit in hits], search.relaxed)
    return None if after is None else encode(after, search.text)
