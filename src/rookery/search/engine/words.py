"""Words: cuts a text into pieces, and folds spellings of one word into one.

A piece is a stretch of the text: a word, a link, a tag, a mention, an emoji, or a run of a script
that is written without spaces. Most pieces are one word; a tag like #NightTram is several, and a
run becomes overlapping pairs of characters. What people write in several ways is made one: case,
width, accents, `U.S.` and `US`, `AT&T` and `ATT`.

Only the standard library is used here, so that a parser of queries loads fast. Endings of words,
and what a post is stored as, are in `analysis.py`.
"""

import functools
import re
import unicodedata
from collections.abc import Iterator

from rookery.core.scripts import UNSPACED

# Scripts without spaces, and Hangul, where endings are joined to words.
_RUN = UNSPACED + "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
_EMOJI = "\u2600-\u27bf\U0001f000-\U0001faff"
# Vowel signs of the scripts of India do not match `\w`, and yet are parts of words.
_INDIC_SIGN = (
    "\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09d7\u0a01-\u0a75"
    "\u0b01-\u0b57\u0b82-\u0bd7\u0c00-\u0c56\u0c81-\u0cd6\u0d00-\u0d57"
)
# Accents that NFKC could not join to a letter, and Arabic vowel signs.
_MARK = "\u0300-\u036f\u0640\u064b-\u0652"
_LINK = r"(?:[Hh][Tt][Tt][Pp][Ss]?://|(?:www|Www|WWW)\.|pic\.twitter\.com/)\S+"


def _piece(word: str, letter: str, *more: str, flags: int = 0) -> re.Pattern[str]:
    """Return the pattern of a piece; `word` and `letter` are patterns, `more` further pieces.

    Each part begins with a character, not with a condition, which is tried faster.
    """
    name = r"\w(?:[\w.-]*\w)?(?:@[\w-]+(?:\.[\w-]+)+)?"  # with the host of a Mastodon account
    parts = (
        _LINK,
        rf"[#＃](?<![\w#&/].)(?:\w|[{_INDIC_SIGN}{_MARK}])+",
        rf"[@＠](?<![\w@/].){name}",
        r"\$(?<![\w$].)[A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?(?!\w)",
        rf"{letter}(?:(?:\.{letter})+|{letter}?&(?:amp;)?{letter}|\+\+)(?!\w)",  # U.S, AT&T, C++
        r"[CFcf]#(?!\w)",
        r"&(?:amp|lt|gt|quot|nbsp|\#\d{1,6});",
        rf"{word}(?:['’]{word})*",
        *more,
    )
    return re.compile("|".join(parts), flags)


_WORD = rf"[^\W{_RUN}]+(?:[{_INDIC_SIGN}{_MARK}]+[^\W{_RUN}]*)*"
_PIECE = _piece(_WORD, "[A-Za-z\u00c0-\u024f\u0370-\u052f]", rf"[{_RUN}]+", f"[{_EMOJI}]")
_ASCII_PIECE = _piece(r"\w+", "[A-Za-z]", flags=re.ASCII)
_IS_RUN = re.compile(f"[{_RUN}]")
_IN_RUNS = re.compile(rf"[{_RUN}]+|{_WORD}")
_GLUED = re.compile(r"(?<=\w)(?=[Hh]ttps?://|pic\.twitter\.com/)")
_MARKS = re.compile(f"[{_MARK}]")
_HOST = re.compile(r"(?:https?://)?(?:www\.)?([^/\s:?#]+)", re.IGNORECASE)
_WWW = frozenset(("www.", "Www.", "WWW."))
_LINK_END = ".,;:!?)]}'\"”’»…"
_SHORTENERS = frozenset(("t.co", "bit.ly", "ow.ly", "goo.gl", "tinyurl.com", "buff.ly", "dlvr.it"))
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# French and Italian leave out a vowel before another: l'école, dell'arte.
_ELISION = re.compile(
    r"(l|d|j|m|t|s|n|c|qu|jusqu|lorsqu|puisqu|un|dell|all|nell|sull|dall|quell)['’]"
    r"(?=[aeiouyhàâæéèêëîïôœùûü]\w)"
)
_POSSESSIVE = re.compile(r"['’]s\b")
_LATIN_LETTERS = (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))
_BASES = {code: unicodedata.normalize("NFD", chr(code))[0] for code in _LATIN_LETTERS}
_PLAIN_LETTERS = {code: base for code, base in _BASES.items() if base.isascii()} | str.maketrans(
    {"ı": "i", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th"}
)
"""Latin letters without their accents: é as e. In other scripts a mark makes another letter."""

STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they this to was will with".split()
)
"""The English words (Lucene's list) that ranking leaves out of a query if it has any others."""


def pieces(text: str) -> list[str]:
    """Return the pieces of a text that have words in them, in order."""
    if text.count("http") != text.count(" http") or "pic." in text:
        text = _GLUED.sub(" ", text)  # links are written without a blank before them
    if text.isascii():
        return _ASCII_PIECE.findall(text)
    # İ in lower case is an i and a dot, which would part it from what follows
    return _PIECE.findall(unicodedata.normalize("NFKC", text).replace("i\u0307", "i"))


def links_in(text: str, found: list[str]) -> list[str]:
    """Return those of a text's pieces that are links."""
    if "/" in text or "ww." in text or "WW." in text:
        return [piece for piece in found if "/" in piece or piece[:4] in _WWW]
    return []


def placed_pieces(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each piece of a text begins and ends."""
    return (found.span() for found in _PIECE.finditer(text))


def words_of(found: list[str]) -> list[str]:
    """Return the words of pieces in lower case, with their accents, in order.

    This is a good part of the cost of an index: pieces that are plain words are lowered at once.
    """
    words: list[str] = []
    for piece in found:
        if piece.isalnum() and (piece.isascii() or not is_run(piece[0])):
            words.append(piece)
        else:
            words += _special(piece)
    return lower(" ".join(words)).split()  # of a mark that stands alone nothing is left


def forms(piece: str) -> list[str]:
    """Return the words of a piece in lower case, with their accents.

    >>> forms("#NightTram"), forms("l'école"), forms("U.S"), forms("パリへ")
    (['nighttram', 'night', 'tram'], ['l', 'école'], ['us'], ['パリ', 'リへ'])
    """
    return words_of([piece])


def _special(piece: str) -> tuple[str, ...]:
    """Return the words of a piece that is no plain word."""
    sign, rest = piece[0], piece[1:]
    if is_link(piece):
        return _host_words(host(piece))
    if sign in "#＃":
        humps = _HUMP.findall(rest)
        return (rest, *(humps if len(humps) > 1 else ()))
    if sign in "@＠$":
        return _words(rest)
    if "&" in piece:
        return () if sign == "&" else (lower(piece).replace("amp;", "").replace("&", ""),)
    if piece.endswith(("++", "#")):
        return (piece,)
    return _words(_ELISION.sub(r"\1 ", lower(piece).replace(".", "")))


def _words(text: str) -> tuple[str, ...]:
    """Return the words of a text that has no links or signs."""
    bare = _POSSESSIVE.sub("", lower(text)).replace("'", "").replace("’", "")
    found: list[str] = []
    for piece in _IN_RUNS.findall(bare) or ([bare] if re.fullmatch(f"[{_EMOJI}]", bare) else []):
        if is_run(piece[0]):
            found += (piece[i : i + 2] for i in range(max(1, len(piece) - 1)))
        elif word := piece.strip("_"):
            found.append(word)
    return tuple(found)


def exact_tokens(text: str) -> Iterator[str]:
    """Yield the words of a text in order, and pairs of characters for scripts without spaces.

    >>> list(exact_tokens("Don't miss #RookDay at https://www.rooks.org/x パリへ"))
    ['dont', 'miss', 'rookday', 'rook', 'day', 'at', 'rooks', 'org', 'パリ', 'リへ']
    """
    yield from map(without_accents, words_of(pieces(text)))


def lower(text: str) -> str:
    """Return a text in lower case, with accents; ß as ss, ё as е, ς as σ."""
    if text.isascii():
        return text.lower()
    return _MARKS.sub("", text.casefold().replace("ё", "е"))


def without_accents(text: str) -> str:
    """Return a text in lower case without the accents of Latin letters."""
    if text.isascii():
        return text
    return text.translate(_PLAIN_LETTERS)


def fold(text: str) -> str:
    """Return one spelling of texts that differ in case, width, or accents on Latin letters."""
    if text.isascii():
        return text.lower()
    return without_accents(lower(unicodedata.normalize("NFKC", text)))


def is_run(character: str) -> bool:
    """Return whether a character belongs to a script that is written without spaces."""
    return _IS_RUN.match(character) is not None


def is_link(piece: str) -> bool:
    """Return whether a piece is a link: no other piece has a slash."""
    return "/" in piece or piece[:4] in _WWW


def host(link: str) -> str:
    """Return the host of a link in lower case, without `www.`; empty if it has none."""
    found = _HOST.match(link)
    return found.group(1).lower().strip(".") if found else ""


def bare_link(link: str) -> str:
    """Return a link without the signs of the sentence around it."""
    return link.rstrip(_LINK_END)


def link_tokens(link: str) -> tuple[str, ...]:
    """Return the parts of a link by which it is found, without its scheme and `www.`.

    >>> link_tokens("https://www.Rooks.org/the-old/oak?page=2")
    ('rooks', 'org', 'the', 'old', 'oak', 'page', '2')
    """
    bare = re.sub(r"^https?://", "", fold(bare_link(link)))
    return tuple(re.findall(r"\w+", bare.removeprefix("www.")))


@functools.lru_cache(maxsize=1 << 12)
def _host_words(name: str) -> tuple[str, ...]:
    """Return the words of a link's host, or none for a shortener, whose name has no meaning."""
    return () if name in _SHORTENERS else _words(name.replace(".", " ").replace("-", " "))


@functools.lru_cache(maxsize=1 << 14)
def author_key(author: str) -> str:
    """Return the form in which an author's name is looked up: in one case, without `@`."""
    return fold(author).lstrip("@＠")
