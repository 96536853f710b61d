"""Matching: turns a query's tree into the text engine's query for exactly the posts that match it.

A tree is made smaller first: of many limits of time or of a number only the narrowest counts, since
each limit that the engine has to check costs a pass over the posts. A word is asked for under all
its variants (`analysis.py`). How well a post matches is no matter of this module.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import tantivy
from tantivy import FieldType, Occur

from rookery.search.engine.analysis import CODES, variants
from rookery.search.engine.fields import COUNTS, moment_at
from rookery.search.engine.tree import (
    And,
    AtLeast,
    Field,
    Link,
    Node,
    Not,
    Or,
    Phrase,
    Prefix,
    Since,
    Until,
    Word,
)
from rookery.search.engine.words import (
    STOP_WORDS,
    exact_tokens,
    is_run,
    link_tokens,
    pieces,
    words_of,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def compiled(
    node: Node, schema: tantivy.Schema, codes: frozenset[str] | None = None
) -> tantivy.Query:
    """Return the text engine's query for the posts that match a tree.

    codes: the analyses that the index has (`analyses_of`); None for all, which finds the same and
    takes longer.
    """
    return _Compiler(schema, codes).query(smaller(node))


def analyses_of(searcher: tantivy.Searcher) -> frozenset[str]:
    """Return the analyses by which an index has posts."""
    return frozenset(code for code in CODES if searcher.doc_freq("analysis", code))


def _moment(moment: datetime) -> int:
    """Return the first place in the order of time of posts from a moment on.

    The index knows milliseconds: a moment within one is rounded up.
    """
    return moment_at(-((_EPOCH - moment) // _MILLISECOND))


# Trees
# -------------------------------------------------------------------------------------------------


def smaller(node: Node) -> Node:
    """Return a tree that matches the same posts, with no part twice and few limits."""
    match node:
        case Not(part):
            return _negated(smaller(part))
        case And(parts):
            required = _without_stop_words(_flat([smaller(p) for p in parts], And))
            return And(_limited(required, narrow=True))
        case Or(parts):
            return Or(_united(_limited(_flat([smaller(p) for p in parts], Or), narrow=False)))
    return node


def _negated(part: Node) -> Node:
    match part:
        case Not(inner):
            return inner
        case Since(moment):
            return Until(moment)
        case Until(moment):
            return Since(moment)
    return Not(part)


def _flat(parts: Sequence[Node], kind: type[And] | type[Or]) -> list[Node]:
    """Return parts with those of inner parts of the same kind in their place."""
    flat: list[Node] = []
    for part in parts:
        flat += _flat(part.parts, kind) if isinstance(part, kind) and part.parts else [part]
    return flat


def _without_stop_words(parts: Sequence[Node]) -> Sequence[Node]:
    """Leave out words such as `the`, unless there is nothing else."""
    weighty = [p for p in parts if not (isinstance(p, Word) and p.text.lower() in STOP_WORDS)]
    return weighty or parts


_Limit = TypeVar("_Limit", Since, Until, AtLeast)


def _limited(parts: Sequence[Node], narrow: bool) -> tuple[Node, ...]:
    """Return parts, each once, with one limit of a kind: the narrowest, or else the widest."""
    limits: list[Node] = []
    low, high = (max, min) if narrow else (min, max)
    limits += _best([p for p in parts if isinstance(p, Since)], low, lambda p: p.moment)
    limits += _best([p for p in parts if isinstance(p, Until)], high, lambda p: p.moment)
    for name in COUNTS:
        of_name = [p for p in parts if isinstance(p, AtLeast) and p.name == name]
        limits += _best(of_name, low, lambda p: p.number)
    others = (p for p in parts if not isinstance(p, Since | Until | AtLeast))
    return tuple(dict.fromkeys((*others, *limits)))


def _united(parts: Sequence[Node]) -> tuple[Node, ...]:
    """Return parts of which one is enough, with periods that meet or overlap as one."""
    others: list[Node] = []
    periods: list[tuple[datetime, datetime]] = []
    for part in parts:
        match part:
            case And((Since(begin), Until(end))):
                periods.append((begin, end))
            case _:
                others.append(part)
    united: list[tuple[datetime, datetime]] = []
    for begin, end in sorted(periods):
        if united and begin <= united[-1][1]:
            united[-1] = united[-1][0], max(end, united[-1][1])
        else:
            united.append((begin, end))
    return *others, *(And((Since(begin), Until(end))) for begin, end in united)


def _best(
    limits: Sequence[_Limit], choose: Callable[..., _Limit], key: Callable[[_Limit], object]
) -> list[_Limit]:
    return [choose(limits, key=key)] if limits else []


# The engine's queries
# -------------------------------------------------------------------------------------------------


class _Compiler:
    """A writer of the text engine's queries for one schema."""

    def __init__(self, schema: tantivy.Schema, codes: frozenset[str] | None) -> None:
        self._schema = schema
        self._codes = codes

    def query(self, node: Node) -> tantivy.Query:
        match node:
            case Word(text):
                return self._word(text)
            case Prefix(text):
                return tantivy.Query.regex_query(self._schema, "exact", re.escape(text) + ".*")
            case Phrase(text):
                return self._phrase("exact", list(exact_tokens(text)))
            case Link(text):
                return self._phrase("links", list(link_tokens(text)))
            case Field(name, value):
                return self._term(name, value)
            case Since(moment):
                return self._range("moment", low=_moment(moment))
            case Until(moment) if _moment(moment) == 0:
                return tantivy.Query.empty_query()
            case Until(moment):
                return self._range("moment", high=_moment(moment) - 1)
            case AtLeast(_, 0):
                return tantivy.Query.all_query()
            case AtLeast(name, number):
                return self._range(name, low=number)
            case Or(parts):
                return self._any(map(self.query, parts))
            case And(parts):
                return self._all(parts)
            case Not():
                return self._all((node,))

    def _all(self, parts: Sequence[Node]) -> tantivy.Query:
        """Return what matches all parts; what is excluded stands beside something required."""
        match parts:
            case (*others, Since(begin), Until(end)):  # as `smaller` leaves them
                low, high = _moment(begin), _moment(end) - 1
                if high < low:
                    return tantivy.Query.empty_query()
                period = self._range("moment", low, high)
                if not others:
                    return period
                both = [(Occur.Must, self._all(others)), (Occur.Must, period)]
                return tantivy.Query.boolean_query(both)
        clauses = [
            (Occur.MustNot, self.query(part.part))
            if isinstance(part, Not)
            else (Occur.Must, self.query(part))
            for part in parts
        ]
        if all(isinstance(part, Not) for part in parts):
            clauses.append((Occur.Must, tantivy.Query.all_query()))
        return tantivy.Query.boolean_query(clauses)

    def _any(self, queries: Iterable[tantivy.Query]) -> tantivy.Query:
        clauses = [(Occur.Should, query) for query in queries]
        if not clauses:
            return tantivy.Query.empty_query()
        return clauses[0][1] if len(clauses) == 1 else tantivy.Query.boolean_query(clauses)

    def _word(self, text: str) -> tantivy.Query:
        words = words_of(pieces(text))
        if len(words) == 1 and not is_run(words[0][0]):
            terms = variants(words[0], self._codes)
            return self._any(self._term("terms", term) for term in terms)
        return self._phrase("exact", list(exact_tokens(text)))

    def _phrase(self, name: str, tokens: list[str]) -> tantivy.Query:
        if not tokens:
            return tantivy.Query.empty_query()
        if len(tokens) > 1:
            return tantivy.Query.phrase_query(self._schema, name, list(tokens))
        if len(tokens[0]) == 1 and is_run(tokens[0]):
            return self._term("characters", tokens[0])
        return self._term(name, tokens[0])

    def _term(self, name: str, value: str) -> tantivy.Query:
        return tantivy.Query.term_query(self._schema, name, value, "basic")

    def _range(self, name: str, low: int | None = None, high: int | None = None) -> tantivy.Query:
        return tantivy.Query.range_query(self._schema, name, FieldType.Unsigned, low, high)
