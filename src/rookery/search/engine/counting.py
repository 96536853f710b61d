"""Counting: which values of a field the posts that may be found have, and by how many authors.

Counted is over posts, at each question anew, never over the dictionary of the text engine: that
still has the words of posts which were removed. So a post that is hidden by now counts nowhere.
Only the fields in `fields.COUNTED` can be counted by value.

Not here: what is made of the counts (`suggest.py`), and how many posts have a word, for ranking
(`statistics.py`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tantivy
from tantivy import Occur

from rookery.search.engine.reader import View

LEAST_AUTHORS = 5
"""What fewer authors wrote is told to nobody who did not write it."""
_MOST_VALUES = 500  # of which the most frequent are looked at


@dataclass(frozen=True, slots=True)
class FieldValue:
    """A value of a field, how many posts have it, and by about how many authors.

    authors: by HyperLogLog, whose error is about 1% and none for small numbers.
    """

    text: str
    posts: int
    authors: int


def findable(view: View, match: tantivy.Query) -> tantivy.Query:
    """Return the query for those of some posts that are not withheld."""
    if not view.withheld.ordinals:
        return match
    hidden = tantivy.Query.term_set_query(view.schema, "ordinal", view.withheld.sorted.tolist())
    return tantivy.Query.boolean_query([(Occur.Must, match), (Occur.MustNot, hidden)])


def values(
    view: View,
    match: tantivy.Query,
    field: str,
    include: str | Sequence[str] = ".*",
    least_authors: int = LEAST_AUTHORS,
    most: int = _MOST_VALUES,
) -> list[FieldValue]:
    """Return values of a field among matching posts that may be found, the most frequent first.

    include: a regular expression for whole values, or a list of them. least_authors: leave out
    what fewer authors wrote. Of very many values the `most` frequent are looked at.
    """
    parts: dict[str, Any] = {"estimate": {"cardinality": {"field": "author"}}}
    if least_authors > 1:
        parts["authors"] = {"terms": {"field": "author", "size": least_authors}}
    wanted = include if isinstance(include, str) else list(include)
    asked = {"terms": {"field": field, "size": most, "include": wanted}, "aggs": parts}
    found = view.searcher.aggregate(findable(view, match), {"values": asked})
    return [
        FieldValue(bucket["key"], bucket["doc_count"], round(bucket["estimate"]["value"]))
        for bucket in found["values"]["buckets"]
        if least_authors <= 1 or len(bucket["authors"]["buckets"]) >= least_authors
    ]


def beginning(text: str) -> str:
    """Return the regular expression for values that begin with a text."""
    return re.escape(text) + ".*"


def count_posts(
    view: View, match: tantivy.Query, least_authors: int = LEAST_AUTHORS
) -> tuple[int, bool]:
    """Return how many matching posts may be found, and whether so many authors wrote them."""
    asked = {
        "posts": {"value_count": {"field": "ordinal"}},
        "authors": {"terms": {"field": "author", "size": least_authors}},
    }
    found = view.searcher.aggregate(findable(view, match), asked)
    return int(found["posts"]["value"]), len(found["authors"]["buckets"]) >= least_authors


def some_posts(view: View, match: tantivy.Query, most: int) -> list[dict[str, Any]]:
    """Return some of the matching posts that may be found, as stored, in no particular order."""
    hits = view.searcher.search(findable(view, match), most, count=False).hits
    return view.posts_at([address for _, address in hits])
