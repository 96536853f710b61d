"""The query language: parses what a person typed into a tree, and describes it in words.

    tram late             posts with both words            "night tram"     the words in this order
    tram OR bus           either                           -bus  -(a OR b)  without
    (tram OR bus) late    brackets                         tram*            words that begin so
    #rooks  @ada  $TSLA   tag, mention, cashtag            from:ada         an operator

As on X and Bluesky, a post needs all the words unless OR is between them, and OR is written in
capitals. The operators of X, Bluesky and Mastodon are in one table, `engine/operators.py`. Parsing
never fails, since a stranger types it: an operator whose value cannot be read is left out, an
unknown one is taken as words, what is too much is dropped, and `remarks` reports all of it. Signs
alone find nothing. This module reads no index; what a tree means to it is in `engine/match.py`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from rookery.search.engine.analysis import QueryTerm, query_terms
from rookery.search.engine.operators import Asking, Operator, operator_in
from rookery.search.engine.tree import (
    NOTHING,
    And,
    Field,
    Link,
    Node,
    Not,
    Or,
    Phrase,
    Prefix,
    Word,
    describe,
    is_plain,
    wanted,
)
from rookery.search.engine.words import exact_tokens, fold, is_run, link_tokens

MAX_CHARACTERS = 2_000
"""A query is cut after so many characters, between two words."""
MAX_PARTS = 64
"""Words and filters after the first 64 are ignored: each costs time, and nobody types more."""
MAX_PREFIXES = 4
"""Of words with a star the first 4 are used, since each may stand for thousands of words."""
MAX_DEPTH = 12
"""Brackets nested deeper than this are ignored; the words inside them still count."""
MAX_REMARKS = 16
LEAST_PREFIX = 3
"""The letters that a word with a star needs."""


@dataclass(frozen=True)
class Query:
    """A parsed query. `root` is always an `And`."""

    root: And
    remarks: tuple[str, ...] = ()

    @property
    def understood(self) -> str:
        """Return the query in plain words."""
        return "; ".join([describe(self.root), *self.remarks])

    @property
    def text(self) -> str:
        """Return the words that a post should have, without signs, for ranking and embedding."""
        parts = [part for part in wanted(self.root) if not isinstance(part, Prefix)]
        return " ".join(part.value if isinstance(part, Field) else part.text for part in parts)

    @property
    def terms(self) -> tuple[str, ...]:
        """Return the terms that ranking counts, each once, as of posts without a language."""
        return tuple(term.variants[0] for term in self.groups(frozenset()))

    def groups(self, codes: frozenset[str] | None = None) -> tuple[QueryTerm, ...]:
        """Return the terms that ranking counts, each once, with their variants.

        codes: the analyses that an index has (`match.analyses_of`); None for all.
        """
        return query_terms(self.text, codes)

    def without_plain_words(self) -> And:
        """Return the parts that stay required when plain words become optional."""
        return And(tuple(p for p in self.root.parts if not is_plain(p)))

    def plain_words(self) -> tuple[Node, ...]:
        """Return the parts that may become optional: words, and combinations of words only."""
        return tuple(p for p in self.root.parts if is_plain(p))


def words_query(text: str) -> Query:
    """Return a query of the text's words alone, ignoring signs: for questions and judged topics."""
    return Query(And(tuple(Word(token) for token in list(exact_tokens(text))[:MAX_PARTS])))


def parse(
    text: str, now: datetime | None = None, zone: tzinfo = UTC, me: str | None = None
) -> Query:
    """Parse what a person typed.

    now: the present moment, for `within_time:`. zone: of the reader's days. me: the reader's name,
    for `from:me`.
    """
    kept = _cut(text)
    parser = _Parser(list(_lex(kept)), Asking(now, zone, me))
    if len(kept) < len(text):
        parser.remark(f"only the first {len(kept):,} characters were read")
    return parser.parse()


def _cut(text: str) -> str:
    """Return the beginning of a text that is read, without the word at which it is cut."""
    if len(text) <= MAX_CHARACTERS:
        return text
    kept = text[:MAX_CHARACTERS]
    before = kept.rsplit(None, 1)
    is_between_words = text[MAX_CHARACTERS].isspace() or len(before) < 2
    return kept if is_between_words else before[0]


# Parsing
# ------------------------------------------------------------------------------------------------

_LEX = re.compile(
    r"""(?P<space>\s+)
    | (?P<valued>-?[A-Za-z_]+:"[^"]*")
    | (?P<phrase>(?P<minus_phrase>-?)"(?P<inside>[^"]*)")
    | (?P<open>-?\()
    | (?P<close>\))
    | (?P<word>[^\s()"]+)
    | (?P<quote>")
    """,
    re.VERBOSE,
)
_IS_LINK = re.compile(r"https?://|www\.", re.IGNORECASE)
_STAR = re.compile(r"\w\*|\*\w")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # phrase, open, close, or, word
    text: str
    negated: bool = False


def _lex(text: str) -> Iterator[_Token]:
    for found in _LEX.finditer(text.replace("“", '"').replace("”", '"')):
        kind = found.lastgroup if found.lastgroup != "inside" else "phrase"
        match kind:
            case "phrase":
                yield _Token("phrase", found["inside"], bool(found["minus_phrase"]))
            case "open":
                yield _Token("open", "(", found["open"].startswith("-"))
            case "close" | "quote":
                yield _Token(kind, found.group())
            case "word" | "valued":
                word = found.group()
                negated = len(word) > 1 and word[0] == "-" and word[1] != "-"
                is_or = word in ("OR", "|")
                yield _Token("or" if is_or else "word", word[1:] if negated else word, negated)


@dataclass
class _Parser:
    """A recursive descent over the tokens, with the remarks and what was counted so far."""

    tokens: list[_Token]
    asking: Asking
    place: int = 0
    remarks: list[str] = field(default_factory=list)
    used: int = 0  # words and filters
    prefixes: int = 0
    dropped: dict[str, list[str]] = field(default_factory=dict)

    def parse(self) -> Query:
        parts: list[Node] = []
        while self.place < len(self.tokens):
            parts += self._any_of(0)
            if self.place < len(self.tokens):  # a closing bracket that was never opened
                self.place += 1
                self.remark("a bracket without its other half was left out")
        for why, texts in self.dropped.items():
            self.remark(f"{why}, not {_listed(texts)}")
        if self.tokens and not parts:
            self.remark("there is nothing to search for in it")
            parts.append(NOTHING)
        return Query(And(tuple(parts)), tuple(self.remarks))

    def _any_of(self, depth: int) -> list[Node]:
        """Parse up to the end of the bracket; `a OR b c` is (a or b) and c, as on X."""
        parts: list[Node] = []
        pending_or = False
        while (token := self._peek()) is not None and token.kind != "close":
            self.place += 1
            if token.kind == "or":
                pending_or = bool(parts)
                continue
            node = self._one(token, depth)
            if node is None:
                continue
            if pending_or:
                last = parts.pop()
                node = Or((*last.parts, node) if isinstance(last, Or) else (last, node))
            parts.append(node)
            pending_or = False
        return parts

    def _one(self, token: _Token, depth: int) -> Node | None:
        match token.kind:
            case "open":
                node = self._bracket(depth)
            case "phrase":
                node = self._phrase(token.text)
            case "quote":
                self.remark("a quotation mark without its other half was left out")
                return None
            case _:
                node = self._word(token.text)
        return Not(node) if node is not None and token.negated else node

    def _bracket(self, depth: int) -> Node | None:
        if depth >= MAX_DEPTH:
            self.remark("brackets nested too deep were left out")
            return None
        parts = self._any_of(depth + 1)
        if self._peek() is None:
            self.remark("a bracket without its other half was left out")
        self.place += 1
        return parts[0] if len(parts) == 1 else And(tuple(parts)) if parts else None

    def _phrase(self, text: str) -> Node | None:
        self._remark_stars(text)
        tokens = list(exact_tokens(text))
        fitting = self._fitting(tokens, f"“{text.strip()}”")
        if len(fitting) < len(tokens):
            text = " ".join(fitting)
        return Phrase(text.strip()) if fitting else None

    def _word(self, text: str) -> Node | None:
        if text[0] == "+" and len(text) > 1:  # X: without correction of its spelling
            text = text[1:]
        named = operator_in(text)
        if named is not None:
            name, value, operator = named
            if operator is not None:
                return self._operator(name, value, operator)
            self.remark(f"{name}: is no operator, so it was taken as words")
        if _IS_LINK.match(text) and link_tokens(text):
            return Link(text) if self._fits(text) else None
        part = _signed(text)
        if part is not None:
            self._remark_stars(text)
            return part if self._fits(text) else None
        return self._words(text)

    def _words(self, text: str) -> Node | None:
        tokens = list(exact_tokens(text))
        if text.endswith("*") and len(tokens) == 1 and _is_long(tokens[0]):
            return self._prefix(text, tokens[0])
        self._remark_stars(text)
        fitting = self._fitting(tokens, text)
        if len(fitting) < len(tokens):  # a long text without blanks
            return And(tuple(map(Word, fitting))) if fitting else None
        return Word(text) if tokens else None

    def _prefix(self, text: str, beginning: str) -> Node | None:
        if not self._fits(text):
            return None
        self.prefixes += 1
        if self.prefixes > MAX_PREFIXES:
            self._drop(f"only the first {MAX_PREFIXES} words with a star were used", text)
            return None
        return Prefix(beginning)

    def _operator(self, name: str, value: str, operator: Operator) -> Node | None:
        """Return the part for an operator, or None if its value cannot be read."""
        self._remark_stars(value)
        value = value.replace("*", "")
        part = operator.read(value, self.asking) if value else "has no value"
        if isinstance(part, str):
            self.remark(f"{name}:{value} {part}, so it was left out")
            return None
        return part if self._fits(f"{name}:{value}") else None

    def _fitting(self, tokens: list[str], text: str) -> list[str]:
        """Count the words of a part, and return the first of them that are within `MAX_PARTS`."""
        left = max(MAX_PARTS - self.used, 0)
        self.used += len(tokens)
        if len(tokens) > left:
            self._drop(f"only the first {MAX_PARTS} words and filters were used", text)
        return tokens[:left]

    def _fits(self, text: str) -> bool:
        """Count a filter, and return whether it is still within `MAX_PARTS`."""
        return bool(self._fitting([text], text))

    def _drop(self, why: str, text: str) -> None:
        self.dropped.setdefault(why, []).append(text)

    def _remark_stars(self, text: str) -> None:
        if _STAR.search(text):
            self.remark(
                f"a star was left out: it stands at the end of one word of {LEAST_PREFIX} letters "
                "or more"
            )

    def remark(self, text: str) -> None:
        """Report something once, and of very much only the first."""
        if len(self.remarks) < MAX_REMARKS and text not in self.remarks:
            self.remarks.append(text)

    def _peek(self) -> _Token | None:
        return self.tokens[self.place] if self.place < len(self.tokens) else None


def _is_long(word: str) -> bool:
    """Return whether a word is long enough to stand for all words that begin so."""
    return len(word) >= LEAST_PREFIX and not is_run(word[0])


_SIGNED = {"#": "tags", "＃": "tags", "@": "mentions", "＠": "mentions", "$": "cashtags"}


def _signed(text: str) -> Field | None:
    """Return the part for a tag, a mention or a cashtag, or None if the word is none."""
    name = fold(text[1:]).rstrip(".,;:!?*")
    field_name = _SIGNED.get(text[0])
    if field_name is None or not list(exact_tokens(name)):
        return None
    if field_name == "cashtags" and not re.fullmatch(r"[a-z]{1,6}([._][a-z]{1,2})?", name):
        return None  # an amount of money
    return Field(field_name, name)


def _listed(texts: Sequence[str], most: int = 3) -> str:
    """Return the first texts and how many more there are."""
    rest = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {rest} more" if rest > 0 else "")
