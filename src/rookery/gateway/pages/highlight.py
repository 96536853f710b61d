"""Highlighting: a post's text in pieces, of which some match the query.

Pure: text in, pieces out; the template escapes each piece. Which characters match is found by the
package `search`.
"""

from collections.abc import Iterable, Iterator


def highlighted(text: str, ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
    """Yield the text in pieces, each with a flag: whether it is one of the ranges, in order.

    >>> list(highlighted("Late trams again", [(5, 10)]))
    [('Late ', False), ('trams', True), (' again', False)]
    """
    last = 0
    for begin, end in ranges:
        if begin > last:
            yield text[last:begin], False
        yield text[begin:end], True
        last = end
    if last < len(text):
        yield text[last:], False
