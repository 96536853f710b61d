"""Counting: which values of a field the posts that may be found have, and by how many authors.

Counted is over posts, at each question anew, never over the dictionary of the text engine: that
still has the words of posts which were removed. So a post that is hidden by now counts nowhere.
Only the fields in `fields.COUNTED` can be counted by value.

Not here: what is made of the counts (`suggest.py`), and how many posts have a word, for ranking
(`statistics.py`).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tantivy
from tantivy import FieldType, Occur

from rookery.search.engine.match import compiled
from rookery.search.engine.reader import View
from rookery.search.engine.tree import Word
from rookery.search.engine.words import pieces, without_accents, words_of

LEAST_AUTHORS = 5
"""What fewer authors wrote is told to nobody who did not write it."""
MOST_VALUES = 500
"""Of more values the most frequent are looked at."""


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
    field: str,
    include: str | Sequence[str] = ".*",
    between: tuple[int, int] | None = None,
    least_authors: int = LEAST_AUTHORS,
    most: int = MOST_VALUES,
) -> list[FieldValue]:
    """Return values of a field among posts that may be found, the most frequent first.

    include: a regular expression for whole values, or a list of them. between: of posts from one
    moment to another alone. least_authors: leave out what fewer authors wrote. Of very many values
    the `most` frequent are looked at.
    """
    parts: dict[str, Any] = {"estimate": {"cardinality": {"field": "author"}}}
    if least_authors > 1:
        parts["authors"] = {"terms": {"field": "author", "size": least_authors}}
    wanted = include if isinstance(include, str) else list(include)
    asked = {"terms": {"field": field, "size": most, "include": wanted}, "aggs": parts}
    if between is not None:
        kind = FieldType.Unsigned
        match = tantivy.Query.range_query(view.schema, "moment", kind, *between)
    elif isinstance(include, str):
        match = tantivy.Query.regex_query(view.schema, field, include)
    else:
        match = tantivy.Query.term_set_query(view.schema, field, wanted)
    found = view.searcher.aggregate(findable(view, match), {"values": asked})
    return [
        FieldValue(bucket["key"], bucket["doc_count"], round(bucket["estimate"]["value"]))
        for bucket in found["values"]["buckets"]
        if least_authors <= 1 or len(bucket["authors"]["buckets"]) >= least_authors
    ]


def beginning(text: str) -> str:
    """Return the regular expression for values that begin with a text."""
    return re.escape(text) + ".*"


@dataclass(frozen=True, slots=True)
class WordCount:
    """How many posts have a word, and how many authors wrote them, counted up to five."""

    posts: int
    authors: int


def count_word(view: View, word: str) -> WordCount:
    """Count the posts that a search for a word finds."""
    return _counted(view, compiled(Word(word), view.schema, view.analyses))


def count_spelling(view: View, spelling: str) -> WordCount:
    """Count the posts that have a word in this spelling, but for its accents."""
    match = tantivy.Query.term_query(view.schema, "exact", without_accents(spelling), "basic")
    return _counted(view, match)


def _counted(view: View, match: tantivy.Query) -> WordCount:
    asked = {
        "posts": {"value_count": {"field": "ordinal"}},
        "authors": {"terms": {"field": "author", "size": LEAST_AUTHORS}},
    }
    found = view.searcher.aggregate(findable(view, match), asked)
    return WordCount(int(found["posts"]["value"]), len(found["authors"]["buckets"]))


def spelled_nearly(view: View, word: str, wrong: int, most: int) -> Counter[str]:
    """Return words that differ from one in at most `wrong` letters or in length only, counted.

    They are taken from at most `most` posts that may be found and have such a word.
    """
    match = tantivy.Query.fuzzy_term_query(view.schema, "exact", word, wrong, True)
    hits = view.searcher.search(findable(view, match), most, count=False).hits
    return Counter(
        other
        for post in view.posts_at([address for _, address in hits])
        for other in dict.fromkeys(words_of(pieces(post["text"])))
        if abs(len(other) - len(word)) <= wrong
    )
