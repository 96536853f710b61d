"""Analysis: the tokens by which a post is found and ranked, by the language that it is in.

    exact     the words as written (`words.py`), in their order, for phrases
    terms     what ranking counts: for each word of `exact` the same word without its ending

Endings are those of the post's own language, else of its script: a Latin word without a known
language is taken as English, a Cyrillic one as Russian. A term says by whose endings it was made,
so that the French `new` of `news` never meets the English `new`: `trams` is `tram` in an English
post, `tram/de` in a German one, `trams/` in a Polish one (Snowball has no Polish). Who asks need
not know the language: a word of a query is looked for under the endings of every language of its
script (`variants`), and all these count as one term (`QueryTerm`). So a word always meets itself,
and meets its other forms by the rules of the language of each post.

Accents: endings are cut off a word with its accents, and the accents are dropped then. Where the
same word without accents gives another term, a post has both (`also`), so that it is found as
people type it.

Not here: what is done with tokens (`fields.py` stores them, `match.py` searches them).
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import tantivy

from rookery.core.digest import digest_bytes
from rookery.search.engine.words import (
    STOP_WORDS,
    bare_link,
    fold,
    forms,
    host,
    links_in,
    lower,
    pieces,
    without_accents,
    words_of,
)

PLAIN = ""
"""The code of an analysis that leaves words as they are."""
_LATIN = {
    "en": "english",
    "da": "danish",
    "nl": "dutch",
    "fi": "finnish",
    "fr": "french",
    "de": "german",
    "hu": "hungarian",
    "it": "italian",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "es": "spanish",
    "sv": "swedish",
    "tr": "turkish",
}
_OTHERS = {"ru": "russian", "el": "greek", "ar": "arabic", "ta": "tamil"}
_STEMMERS = _LATIN | _OTHERS
_SAME = {"nb": "no", "nn": "no", "mo": "ro"}
# The first is whose endings are taken where a post does not say its language.
_LANGUAGES_OF = {
    "latin": tuple(_LATIN),
    "cyrillic": ("ru",),
    "greek": ("el",),
    "arabic": ("ar",),
    "tamil": ("ta",),
}
_SCRIPTS = {
    "latin": re.compile("[a-z\u00c0-\u024f\u1e00-\u1eff]"),
    "cyrillic": re.compile("[\u0400-\u052f]"),
    "greek": re.compile("[\u0370-\u03ff\u1f00-\u1fff]"),
    "arabic": re.compile("[\u0600-\u06ff\u0750-\u077f]"),
    "tamil": re.compile("[\u0b80-\u0bff]"),
}
# Languages that write in a script of `_LANGUAGES_OF`, and of which no endings are known.
_WITHOUT_ENDINGS = {
    "latin": (
        "af az bs ca cs cy et eo eu fil ga gl ha hr ht id in is jv lt lv ms mt pl sk sl so sq sw "
        "tl tn uz vi xh yo zu"
    ).split(),
    "cyrillic": "ba be bg ce kk ky mk mn sr tg tt uk".split(),
    "arabic": "ckb fa ks ps sd ug ur".split(),
}
CODES = (*_STEMMERS, *_WITHOUT_ENDINGS)
"""The codes of all analyses that `analysis_code` returns, beside the empty one."""
_SCRIPT_OF = {code: script for script, codes in _WITHOUT_ENDINGS.items() for code in codes}
_MARK = "/"


@dataclass(frozen=True, slots=True)
class Analysis:
    """The tokens of one post.

    terms: one for each token of `exact`. also: more terms that find the post. alt_tokens: how many
    of the last tokens are those of its alternative text. links: as written; domains: their hosts
    and the domains above these. same: its `same_words_digest`.
    """

    exact: tuple[str, ...]
    terms: tuple[str, ...]
    also: tuple[str, ...] = ()
    alt_tokens: int = 0
    tags: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()
    cashtags: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    same: str = ""


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """A term of a query: a post has it if it has any of its variants, of which it counts one.

    The first variant is the term of a post that does not say its language.
    """

    variants: tuple[str, ...]


def analyse(text: str, language: str | None = None, alt_text: str | None = None) -> Analysis:
    """Return all tokens of a post; language: its code, as the post says it."""
    code = analysis_code(language)
    found = pieces(text)
    words = words_of(found)
    marked, own = _NONE, words
    if _MAY_BE_MARKED(text):
        links = links_in(text, found)
        marked, own = _marked(found, links), _own_words(found, links)
    of_alt = words_of(pieces(alt_text)) if alt_text else []
    exact, terms, also = _tokens(words + of_alt, code)
    return Analysis(exact, terms, also, len(of_alt), *marked, _same(text, own))


_Tokens = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
_Marked = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]
_NONE: _Marked = ((), (), (), (), ())
_MAY_BE_MARKED = re.compile("[#＃@＠$/]|ww\\.|WW\\.").search


def _marked(found: Sequence[str], links: Sequence[str]) -> _Marked:
    """Return the tags, mentions, cashtags, links and domains among some pieces, each once."""
    tags: list[str] = []
    mentions: list[str] = []
    cashtags: list[str] = []
    for piece in [p for p in found if p[0] in "#＃@＠$"]:
        name = fold(piece[1:])
        if piece[0] in "#＃":
            tags.append(name)
        elif piece[0] == "$":
            cashtags.append(name)
        else:
            mentions += (name, name.partition("@")[0]) if "@" in name else (name,)
    bare = [bare_link(link) for link in links]
    domains = [domain for link in bare for domain in _domains(host(link))]
    return _once(tags), _once(mentions), _once(cashtags), _once(bare), _once(domains)


def _once(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts)) if texts else ()


@functools.lru_cache(maxsize=1 << 14)
def _domains(name: str) -> tuple[str, ...]:
    """Return a host and the domains above it, of two parts at least."""
    parts = name.split(".")
    return tuple(".".join(parts[n:]) for n in range(max(1, len(parts) - 1)) if name)


# Endings
# -------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1 << 10)
def analysis_code(language: str | None) -> str:
    """Return the code of the analysis for a post's language, one of few; empty where none is known.

    >>> analysis_code("pt-BR"), analysis_code("nn"), analysis_code("uk"), analysis_code("ja")
    ('pt', 'no', 'cyrillic', '')
    """
    if not language:
        return ""
    code = language.lower().replace("_", "-").partition("-")[0]
    code = _SAME.get(code, code)
    return code if code in _STEMMERS else _SCRIPT_OF.get(code, "")


def _tokens(words: Sequence[str], code: str) -> _Tokens:
    """Return exact tokens of words, their terms in an analysis, and the terms that also find them.

    words: in lower case, with accents. All are stemmed at once, as one text.
    """
    if not words:
        return (), (), ()
    text = " ".join(words)
    bare = without_accents(text)
    exact = tuple(bare.split(" "))
    analyzer = _analyzer(code, _scripts_in(text))
    stems = tuple(analyzer.analyze(bare))
    marks = _marks(code)
    if not marks:
        return exact, stems, ()
    # Endings may have accents: they are cut off first, and the accents are dropped then.
    full = stems if bare is text else without_accents(" ".join(analyzer.analyze(text))).split(" ")
    ends = [marks.get(_script(word), "") for word in words]
    terms = tuple(stem + end for stem, end in zip(full, ends, strict=True))
    more = tuple(stem + end for stem, end in zip(stems, ends, strict=True))
    return exact, terms, tuple(m for m, term in zip(more, terms, strict=True) if m != term)


def _script(word: str) -> str:
    """Return the script of a word of which endings may be cut off, or nothing."""
    if word.isascii() and word.isalpha():
        return "latin"
    return next((name for name, letters in _SCRIPTS.items() if letters.search(word)), "")


def _scripts_in(text: str) -> tuple[str, ...]:
    """Return the scripts of a text of which endings may be cut off."""
    if text.isascii():
        return ("latin",)
    return tuple(name for name, letters in _SCRIPTS.items() if letters.search(text))


def _endings(script: str, code: str) -> str:
    """Return whose endings a word of a script has in a post of an analysis."""
    if code == script:
        return PLAIN
    languages = _LANGUAGES_OF[script]
    return code if code in languages else languages[0]


@functools.cache
def _marks(code: str) -> dict[str, str]:
    """Return by script what is added to terms whose endings are not those of an unknown language.

    >>> _marks("de"), _marks("latin"), _marks("ru")
    ({'latin': '/de'}, {'latin': '/'}, {})
    """
    endings = {script: _endings(script, code) for script in _LANGUAGES_OF}
    return {s: _MARK + e for s, e in endings.items() if e != _LANGUAGES_OF[s][0]}


@functools.cache
def _analyzer(code: str, scripts: tuple[str, ...]) -> tantivy.TextAnalyzer:
    """Return what cuts off the endings of words of some scripts, as one text with blanks between.

    A stemmer leaves the words of other scripts as they are.
    """
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
    for endings in (_endings(script, code) for script in scripts):
        if endings != PLAIN:
            builder = builder.filter(tantivy.Filter.stemmer(_STEMMERS[endings]))
    return builder.build()


def stem(tokens: Sequence[str]) -> tuple[str, ...]:
    """Return the terms of tokens in a post that does not say its language, in the same order."""
    return _tokens(tokens, "")[1]


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a text: as written, and the terms by which it is found."""

    exact: str
    terms: tuple[str, ...]


@functools.lru_cache(maxsize=1 << 12)
def tokens_of(piece: str, language: str | None = None) -> tuple[Token, ...]:
    """Return the tokens of a piece (`words.pieces`) of a post in a language."""
    exact, terms, also = _tokens(forms(piece), analysis_code(language))
    return tuple(Token(e, (t, *also)) for e, t in zip(exact, terms, strict=True))


# Queries
# -------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1 << 12)
def variants(word: str, codes: frozenset[str] | None = None) -> tuple[str, ...]:
    """Return the terms under which a word may be found, the one of an unknown language first.

    word: in lower case, with the accents that were typed. codes: only analyses among these
    (`match.analyses_of` tells those of an index); None for all.
    """
    script = _script(word)
    if not script:
        return (without_accents(word),)
    languages = [c for c in _LANGUAGES_OF[script][1:] if codes is None or c in codes]
    if script in _WITHOUT_ENDINGS and (codes is None or script in codes):
        languages.append(script)
    found = [_tokens([word], code) for code in ("", *languages)]
    return _once([term for _, terms, also in found for term in terms + also])


def query_terms(text: str, codes: frozenset[str] | None = None) -> tuple[QueryTerm, ...]:
    """Return the terms of a query that ranking counts, each once.

    Stop words are left out, unless there are no other words.
    """
    words = words_of(pieces(text))
    weighty = [word for word in words if word not in STOP_WORDS] or words
    terms = {found[0]: QueryTerm(found) for found in (variants(w, codes) for w in weighty)}
    return tuple(terms.values())


# Texts
# -------------------------------------------------------------------------------------------------


def same_words_digest(text: str) -> str:
    """Return a digest that is equal for copies of one post.

    Copies differ only in links, mentions, case and punctuation.
    """
    found = pieces(text)
    return _same(text, _own_words(found, links_in(text, found)))


def _own_words(found: Sequence[str], links: Sequence[str]) -> list[str]:
    """Return the words of pieces without links and mentions, those of tags last."""
    kept = [p for p in found if p[0] not in "@＠" and p not in links]
    # Of #NightTram only its first word, since #nighttram differs in case alone.
    words = words_of([p for p in kept if p[0] not in "#＃"])
    return words + [tag for p in kept if p[0] in "#＃" if (tag := lower(p[1:]))]


def _same(text: str, words: Sequence[str]) -> str:
    bare = " ".join([word for word in words if word[0].isalnum()]) or " ".join(words)
    return digest_bytes((without_accents(bare) or text).encode())[:16]


def without_links(text: str) -> str:
    """Return a text without links, and without the mentions at its beginning."""
    bare = " ".join(re.sub(r"(?:https?://|www\.|pic\.twitter\.com/)\S+", " ", text).split())
    return re.sub(r"^(?:(?:RT\s+)?[@＠][\w.-]+:?\s+)+", "", bare)
