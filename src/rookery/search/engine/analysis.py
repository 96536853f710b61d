"""Analysis: a post's text to the tokens that are searched, the same for posts and for queries.

Two streams come out. `exact` keeps the words as written (folded to one case) in their order, for
phrases. `terms` are what ranking counts: the same words with English endings taken off. Tags and
mentions are found with and without their sign, links by the words of their host, and scripts that
write no spaces by overlapping pairs of characters.

Not here: what is done with tokens (`segment.py` stores them, `retrieve.py` asks for them).
"""

import functools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tantivy

from rookery.core.digest import digest_bytes
from rookery.core.scripts import UNSPACED

_RUN = (
    UNSPACED + "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
)  # and Hangul, where endings are glued to words
_EMOJI = "\u2600-\u27bf\U0001f000-\U0001faff"
# Vowel signs of the scripts of India are no `\w`, and yet inside words.
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
_MARKS = re.compile(
    "[\u0300-\u036f\u0640\u064b-\u0652]"
)  # what NFKC could not join, and Arabic vowel signs
_PIECE = re.compile(
    rf"(?P<run>[{_RUN}]+)|(?P<word>(?:[^\W{_RUN}]|[{_INDIC_SIGN}])+)|(?P<emoji>[{_EMOJI}])"
)
_NO_WORD = re.compile(r"[\W_]+")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they "
    "this to was will with".split()
)
"""The English words that ranking leaves out of a query (Lucene's list), unless there are no
others.
"""


@dataclass(frozen=True, slots=True)
class Analysis:
    """The tokens of one text."""

    exact: tuple[str, ...]
    terms: tuple[str, ...]
    tags: tuple[str, ...]
    mentions: tuple[str, ...]


def analyse(text: str) -> Analysis:
    """All tokens of a post."""
    exact = tuple(exact_tokens(text))
    tags = tuple(dict.fromkeys(fold(name) for name in _TAG.findall(text)))
    mentions = tuple(dict.fromkeys(fold(name) for name in _MENTION.findall(text)))
    return Analysis(exact, stem(exact), tags, mentions)


def exact_tokens(text: str) -> Iterator[str]:
    """The words of a text in their order; a run of a script without spaces gives its character
    pairs.

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
    """The tokens with English endings taken off (Snowball); one for each, in the same order."""
    return tuple(_stemmer().analyze(" ".join(tokens)))


def ranking_terms(text: str) -> tuple[str, ...]:
    """The terms of a query that ranking counts, each once: stop words left out, unless there are no
    others.
    """
    exact = list(exact_tokens(text))
    weighty = [token for token in exact if token not in STOP_WORDS]
    return tuple(dict.fromkeys(stem(weighty or exact)))


def fold(text: str) -> str:
    """One spelling for letters that people type alike: case, width, and the marks on Latin
    letters.
    """
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text).lower()
    return _MARKS.sub("", "".join(_unmarked(c) for c in folded))


def same_words_digest(text: str) -> str:
    """Equal for texts that differ only in links, mentions, case and punctuation: copies of one
    post.
    """
    bare = _NO_WORD.sub(" ", fold(_MENTION.sub(" ", _LINK.sub(" ", text)))).strip()
    return digest_bytes((bare or text).encode())[:16]


def without_links(text: str) -> str:
    """The text as a person reads it aloud: links out, and mentions at its beginning."""
    bare = " ".join(_LINK.sub(" ", text).split())
    return re.sub(r"^(?:(?:RT\s+)?[@＠][\w.-]+:?\s+)+", "", bare)


def is_run(character: str) -> bool:
    """Whether a character belongs to a script that writes no spaces."""
    return re.fullmatch(f"[{_RUN}]", character) is not None


@functools.cache
def _stemmer() -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
    return builder.filter(tantivy.Filter.stemmer("english")).build()


@functools.lru_cache(maxsize=4096)
def _unmarked(character: str) -> str:
    """A Latin letter without its mark (é as e); kana and Cyrillic keep theirs, where it makes
    another letter.
    """
    base = unicodedata.normalize("NFD", character)[0]
    return base if base.isascii() else character


def _pairs(run: str) -> Iterator[str]:
    yield from (run[i : i + 2] for i in range(max(1, len(run) - 1)))


def _host_words(link: str) -> str:
    """The words of a link's host; of a shortener's host, which says nothing, none."""
    host = _HOST.match(link)
    name = host.group(1).lower() if host else ""
    return "" if name in _SHORTENERS else name.replace(".", " ").replace("-", " ")


def _humps(tag: str) -> str:
    """The words of a tag written like #BlackLivesMatter, if it has more than one."""
    words = _HUMP.findall(tag)
    return " ".join(words) if len(words) > 1 else ""
