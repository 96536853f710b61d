"""Highlighting: which words of a post match a query, by the same stems as in the search engine.

Pure: text in, pieces out; the template escapes each piece. Which posts match is not decided here
but in the package `search`.
"""

import re
from collections.abc import Iterator

from rookery.search.engine.analysis import fold, ranking_terms, stem

_TERM = re.compile(r'-?"[^"]*"|\S+')
_WORD = re.compile(r"\w+")


def query_terms(query: str) -> frozenset[str]:
    """Return the terms that a query looks for, without operators, filters and excluded words.

    >>> sorted(query_terms('late trams OR "night bus" -ferry from:ada lang:en'))
    ['bus', 'late', 'night', 'tram']
    """
    return frozenset(
        ranking_terms(" ".join(term for term in _TERM.findall(query) if _is_wanted(term)))
    )


def _is_wanted(term: str) -> bool:
    return not (term.startswith("-") or re.match(r"\w+:", term) or term in ("OR", "AND", "NOT"))


def highlighted(text: str, terms: frozenset[str]) -> Iterator[tuple[str, bool]]:
    """Yield the text in pieces, each with a flag: whether it is a word of the query.

    >>> list(highlighted("Late trams again", frozenset({"tram"})))
    [('Late ', False), ('trams', True), (' again', False)]
    """
    words = list(_WORD.finditer(text))
    stems = stem([fold(word.group()) for word in words])
    last = 0
    for word, its_stem in zip(words, stems, strict=True):
        if its_stem in terms:
            if word.start() > last:
                yield text[last : word.start()], False
            yield word.group(), True
            last = word.end()
    if last < len(text):
        yield text[last:], False
