"""Which words of a post answer to a query, for the eye only: the search engine has its own idea of a match.

Pure: text in, pieces out; the template escapes each piece.
"""

import re
from collections.abc import Sequence

_TERM = re.compile(r'-?"[^"]*"|\S+')
_WORD = re.compile(r"\w+")
_SHORTEST_STEM = 4


def query_words(query: str) -> tuple[str, ...]:
    """The words that a query looks for: operators, filters and excluded words left out.

    >>> query_words('late tram OR "night bus" -ferry from:ada lang:en')
    ('late', 'tram', 'night', 'bus')
    """
    words: list[str] = []
    for term in _TERM.findall(query):
        is_filter = re.match(r"\w+:", term) and not term.startswith('"')
        if not term.startswith("-") and not is_filter and term not in ("OR", "AND", "NOT"):
            words += [word.lower() for word in _WORD.findall(term)]
    return tuple(dict.fromkeys(words))


def highlighted(text: str, words: Sequence[str]) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether it is a word of the query (whole, or alike up to an ending).

    >>> highlighted("Late trams again", ["tram"])
    [('Late ', False), ('trams', True), (' again', False)]
    """
    pieces: list[tuple[str, bool]] = []
    last = 0
    for found in _WORD.finditer(text):
        if any(_alike(found.group().lower(), word) for word in words):
            if found.start() > last:
                pieces.append((text[last : found.start()], False))
            pieces.append((found.group(), True))
            last = found.end()
    if last < len(text):
        pieces.append((text[last:], False))
    return pieces


def _alike(a: str, b: str) -> bool:
    """Equal, or the longer is the shorter with an ending of up to three letters."""
    if a == b:
        return True
    short, long = sorted((a, b), key=len)
    return len(short) >= _SHORTEST_STEM and len(long) - len(short) <= 3 and long.startswith(short)
