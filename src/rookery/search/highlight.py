"""Highlights: which characters of a post match a query, by the same terms as in the index.

A word is marked in every form that the language of the post gives it, a phrase where its words
follow each other, a tag, a mention or a cashtag by its name, and a script without spaces by pairs
of characters. What is excluded, and filters, mark nothing. Pure: which posts match is decided by
the index (`engine/match.py`), and how ranges are shown by the page.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rookery.search.engine.analysis import Token, tokens_of, variants
from rookery.search.engine.tree import Field, Node, Phrase, Prefix, Word, wanted
from rookery.search.engine.words import (
    STOP_WORDS,
    exact_tokens,
    fold,
    is_run,
    pieces,
    placed_pieces,
    words_of,
)

Range = tuple[int, int]
"""Where a match begins and where it ends, in characters of the text."""
_SIGNS = {"tags": "#", "mentions": "@", "cashtags": "$"}


@dataclass(frozen=True, slots=True)
class _Placed:
    """A token and where it stands."""

    begin: int
    end: int
    token: Token


@dataclass(frozen=True)
class Marker:
    """What a query marks in texts.

    terms, beginnings: of words. phrases: words that follow each other, as written. signed: tags,
    mentions and cashtags, each with its sign. initials: the letters with which words begin.
    """

    terms: frozenset[str]
    beginnings: tuple[str, ...]
    phrases: frozenset[tuple[str, ...]]
    signed: frozenset[str]
    initials: frozenset[str]

    def ranges(self, text: str, language: str | None = None) -> tuple[Range, ...]:
        """Return the ranges of a post's text that match, in order, none overlapping.

        language: of the post.
        """
        spans = list(placed_pieces(text))
        if not self.phrases:  # a word may be left out that cannot match
            spans = [span for span in spans if self._may_match(text[slice(*span)])]
        placed = [token for span in spans for token in _placed(text, span, language)]
        found = [(p.begin, p.end) for p in placed if self._matches(p.token)]
        exact = [p.token.exact for p in placed]
        for phrase in self.phrases:
            for start in range(len(exact) - len(phrase) + 1):
                if tuple(exact[start : start + len(phrase)]) == phrase:
                    found.append((placed[start].begin, placed[start + len(phrase) - 1].end))
        if self.signed:
            found += _signed(text, spans, self.signed)
        return tuple(_joined(sorted(set(found))))

    def _may_match(self, piece: str) -> bool:
        """Return False for a plain word with another first letter; endings leave that as it is."""
        is_plain = piece.isascii() and piece.isalpha()
        return not is_plain or piece[0].lower() in self.initials

    def _matches(self, token: Token) -> bool:
        return not self.terms.isdisjoint(token.terms) or token.exact.startswith(self.beginnings)


def marker_of(query: Node) -> Marker:
    """Return what a tree marks; words that every post has only if there are no others."""
    terms: list[str] = []
    phrases: list[tuple[str, ...]] = []
    parts = list(wanted(query))
    words = [part for part in parts if isinstance(part, Word)]
    weighty = [word for word in words if word.text.lower() not in STOP_WORDS] or words
    for word in weighty:
        found = words_of(pieces(word.text))
        if len(found) == 1 and not is_run(found[0][0]):
            terms += variants(found[0])
        else:
            phrases.append(tuple(exact_tokens(word.text)))
    phrases += [tuple(exact_tokens(part.text)) for part in parts if isinstance(part, Phrase)]
    signed = (part for part in parts if isinstance(part, Field))
    beginnings = tuple(part.text for part in parts if isinstance(part, Prefix))
    return Marker(
        frozenset(terms),
        beginnings,
        frozenset(phrase for phrase in phrases if phrase),
        frozenset(_SIGNS[part.name] + part.value for part in signed),
        frozenset(word[0] for word in (*terms, *beginnings) if word),
    )


def _placed(text: str, span: Range, language: str | None) -> Iterator[_Placed]:
    """Yield the tokens of a piece with their places; a piece of several words is one place."""
    begin, end = span
    piece = unicodedata.normalize("NFKC", text[begin:end])
    tokens = tokens_of(piece, language)
    if is_run(piece[0]) and len(piece) == end - begin:  # pairs of characters, one after another
        for place, token in enumerate(tokens, begin):
            yield _Placed(place, place + len(token.exact), token)
    else:
        yield from (_Placed(begin, end, token) for token in tokens)


def _signed(text: str, spans: Iterable[Range], names: frozenset[str]) -> Iterator[Range]:
    """Yield where a text has one of some tags, mentions or cashtags."""
    for begin, end in spans:
        name = fold(text[begin:end])
        local = name[0] + name[1:].partition("@")[0]  # of an account of another host
        if name in names or local in names:
            yield begin, end


def _joined(ranges: Sequence[Range]) -> Iterator[Range]:
    """Yield ranges, those that touch or overlap as one."""
    begin, end = -1, -1
    for next_begin, next_end in ranges:
        if next_begin > end:
            if end > begin:
                yield begin, end
            begin, end = next_begin, next_end
        else:
            end = max(end, next_end)
    if end > begin:
        yield begin, end
