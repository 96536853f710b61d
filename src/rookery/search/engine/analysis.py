"""Analysis: cuts a text into the tokens that are searched, the same for posts and for queries.

Two streams come out. `exact` has the words as written (folded to one case) in their order, for
phrases. `terms` are what ranking counts: the same words without English endings. Tags and mentions
are found with and without their sign, links by the words of their host, and scripts that are
written without spaces by overlapping pairs of characters.

Not here: what is done with tokens (`segment.py` stores them, `retrieve.py` searches them).
"""

import functools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tantivy

from rookery.core.digest import digest_bytes
from rookery.core.scripts import UNSPACED

# Scripts without spaces, and Hangul, where endings are joined to words.
_RUN = UNSPACED + "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
_EMOJI = "\u2600-\u27bf\U0001f000-\U0001faff"
# Vowel signs of the scripts of India do not match `\w`, and yet are parts of words.
_INDIC_SIGN = (
    "\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09d7\u0a01-\u0a75"
    "\u0b01-\u0b57\u0b82-\u0bd7\u0c00-\u0c56\u0c81-\u0cd6\u0d00-\u0d57"
)

_LINK = re.compile(r"(?:https?://|www\.|pic\.twitter\.com/)\S+", re.IGNORECASE)
_HOST = re.compile(r"(?:https?://)?(?:www\.)?([^/\s:?#]+)", re.IGNORECASE)
_SHORTENERS = frozenset(("t.co", "bit.ly", "ow.ly", "goo.gl", "tinyurl.com", "buff.ly", "dlvr.it"))
_TAG = re.compile(r"(?<![\w#&/])[#＃]([\w" + _INDIC_SIGN + r"]+)")
_MENTION = re.compile(r"(?<![\w@/])[@＠]([\w](?:[\w.-]*\w)?)")
_POSSESSIVE = re.compile(r"['’]s\b")
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")
# Accents that NFKC could not join to a letter, and Arabic vowel signs.
_MARKS = re.compile("[\u0300-\u036f\u0640\u064b-\u0652]")
_PIECE = re.compile(
    rf"(?P<run>[{_RUN}]+)|(?P<word>(?:[^\W{_RUN}]|[{_INDIC_SIGN}])+)|(?P<emoji>[{_EMOJI}])"
)
_NO_WORD = re.compile(r"[\W_]+")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they this to was will with".split()
)
"""The English words (Lucene's list) that ranking leaves out of a query if it has any others."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """The tokens of one text."""

    exact: tuple[str, ...]
    terms: tuple[str, ...]
    tags: tuple[str, ...]
    mentions: tuple[str, ...]


def analyse(text: str) -> Analysis:
    """Return all tokens of a post."""
    exact = tuple(exact_tokens(text))
    tags = tuple(dict.fromkeys(fold(name) for name in _TAG.findall(text)))
    mentions = tuple(dict.fromkeys(fold(name) for name in _MENTION.findall(text)))
    return Analysis(exact, stem(exact), tags, mentions)


def exact_tokens(text: str) -> Iterator[str]:
    """Yield the words of a text in order, and pairs of characters for scripts without spaces.

    >>> list(exact_tokens("Don't miss #RookDay at https://www.rooks.org/x パリへ"))
    ['dont', 'miss', 'rookday', 'rook', 'day', 'at', 'rooks', 'org', 'パリ', 'リへ']
    """
    plain = _LINK.sub(lambda link: f" {_host_words(link.group())} ", text)
    plain = _TAG.sub(lambda tag: f" {tag.group(1)} {_humps(tag.group(1))} ", plain)
    plain = _APOSTROPHE.sub("", _POSSESSIVE.sub(" ", plain))
    for piece in _PIECE.finditer(fold(plain)):
        if piece.lastgroup == "run":
            yield from _pairs(piece.group())
        else:
            yield piece.group()


def stem(tokens: Sequence[str]) -> tuple[str, ...]:
    """Return the tokens without English endings (Snowball), one for each, in the same order."""
    return tuple(_stemmer().analyze(" ".join(tokens)))


def ranking_terms(text: str) -> tuple[str, ...]:
    """Return the terms of a query that ranking counts, each once.

    Stop words are left out, unless there are no other words.
    """
    exact = list(exact_tokens(text))
    weighty = [token for token in exact if token not in STOP_WORDS]
    return tuple(dict.fromkeys(stem(weighty or exact)))


def fold(text: str) -> str:
    """Return one spelling of texts that differ in case, width, or accents on Latin letters."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text).lower()
    return _MARKS.sub("", "".join(_unmarked(c) for c in folded))


def same_words_digest(text: str) -> str:
    """Return a digest that is equal for copies of one post.

    Copies differ only in links, mentions, case and punctuation.
    """
    bare = _NO_WORD.sub(" ", fold(_MENTION.sub(" ", _LINK.sub(" ", text)))).strip()
    return digest_bytes((bare or text).encode())[:16]


def without_links(text: str) -> str:
    """Return a text without links, and without the mentions at its beginning."""
    bare = " ".join(_LINK.sub(" ", text).split())
    return re.sub(r"^(?:(?:RT\s+)?[@＠][\w.-]+:?\s+)+", "", bare)


def is_run(character: str) -> bool:
    """Return whether a character belongs to a script that is written without spaces."""
    return re.fullmatch(f"[{_RUN}]", character) is not None


@functools.cache
def _stemmer() -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
    return builder.filter(tantivy.Filter.stemmer("english")).build()


@functools.lru_cache(maxsize=4096)
def _unmarked(character: str) -> str:
    """Return a Latin letter without its accent (é as e).

    Kana and Cyrillic letters stay as they are: there the mark makes another letter.
    """
    base = unicodedata.normalize("NFD", character)[0]
    return base if base.isascii() else character


def _pairs(run: str) -> Iterator[str]:
    yield from (run[i : i + 2] for i in range(max(1, len(run) - 1)))


def _host_words(link: str) -> str:
    """Return the words of a link's host, or none for a shortener, whose name has no meaning."""
    host = _HOST.match(link)
    name = host.group(1).lower() if host else ""
    return "" if name in _SHORTENERS else name.replace(".", " ").replace("-", " ")


def _humps(tag: str) -> str:
    """Return the words of a tag written like #BlackLivesMatter, if it has more than one."""
    words = _HUMP.findall(tag)
    return " ".join(words) if len(words) > 1 else ""
