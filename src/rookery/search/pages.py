"""A page: the posts of a search that come next, as many as were asked for where there are as many.

Candidates are taken until the page is full: the gate may refuse some, earlier pages may have shown
them, copies of one text count once, and one author has at most a third of a page of Best while
there are others. Not here: what is done with a page (`search.py`).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rookery.search.cursor import Place, Shown, shortened
from rookery.search.engine.fields import moment_after
from rookery.search.engine.scored import Candidate, has_words
from rookery.search.engine.tree import Field
from rookery.search.hits import Hit, visible_hits
from rookery.search.index import PostIndex
from rookery.search.query import Query
from rookery.search.ranking.variety import most_of_one, varied

Mode = Literal["best", "latest"]

_DEPTH = 200  # candidates at first, many more than a page, since the gate may refuse most of them
_DEEPEST = 3_200  # candidates among which other authors are looked for


@dataclass(frozen=True)
class Asked:
    """One page as it was asked for.

    after: what earlier pages showed. relaxed: posts need only some of the words.
    """

    text: str
    query: Query
    limit: int
    mode: Mode
    after: Shown | Place
    relaxed: bool = False


def page_of(index: PostIndex, search: Asked, copies: Counter[str]) -> tuple[list[Hit], bool]:
    """Return the hits of a page and whether there are more; count the copies of each."""
    limit, one_author = search.limit, search.mode == "latest" or _names_author(search.query)
    most = limit if one_author else most_of_one(limit)
    known = len(search.after.same) if isinstance(search.after, Shown) else 0
    # By time nothing is ranked or folded, so that few more than a page are enough at first.
    is_by_time = isinstance(search.after, Place)
    depth, before = max(_DEPTH if not is_by_time else 0, 2 * limit) + known, -1
    while True:
        copies.clear()
        candidates = _candidates(index, search, depth)
        new = _new(visible_hits(index, candidates, expected=limit + 1), search, copies)
        hits, more, is_filled_up = varied(new, limit, most)
        is_all = len(candidates) < depth or len(candidates) <= before
        # Go deeper for a page that is not full, and for other authors than those that fill it.
        if is_all or (more and (not is_filled_up or depth >= _DEEPEST)):
            return hits, more
        depth, before = 4 * depth, len(candidates)


def _names_author(query: Query) -> bool:
    """Return whether a query asks for posts of one author."""
    return any(isinstance(part, Field) and part.name == "author" for part in query.root.parts)


def _new(hits: Iterator[Hit], search: Asked, copies: Counter[str]) -> Iterator[Hit]:
    """Yield the hits that no earlier page showed; those of Best once for each text."""
    if isinstance(search.after, Place):
        yield from hits
        return
    shown_before = frozenset(search.after.same)
    seen: set[str] = set()
    for hit in hits:
        if shortened(hit.same) in shown_before:
            continue
        if hit.same in seen:
            copies[hit.same] += 1
            continue
        seen.add(hit.same)
        yield hit


def _candidates(index: PostIndex, search: Asked, depth: int) -> list[Candidate]:
    query, after = search.query, search.after
    if isinstance(after, Place):
        return index.newest(query, after.future_from, depth, after.moment)
    # A query without words, such as `from:ada`, has nothing to rank by but time.
    if not query.terms:
        return index.newest(query, moment_after(index.clock.now()), depth)
    if search.relaxed:
        found = index.with_some(query, depth)
        return [c for c in found if has_words(c)]  # not those near in meaning alone
    return index.with_all(query, depth)
