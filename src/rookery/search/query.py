"""The query language: parses what a person typed into a small tree, and describes it in words.

    tram late             posts with both words            "night tram"     the words in this order
    tram OR bus           either                           -bus  -(a OR b)  without
    (tram OR bus) late    brackets                         #rooks  @ada     tag, mention
    from:ada  lang:en     author, language                 min_likes:5      at least 5 likes
    since:2026-01-31      from that day on (UTC)           until:2026-02-28 before that day

As on X and Bluesky, a post needs all the words unless OR is between them, and OR is written in
capitals. Parsing never fails: what cannot be understood is taken as words, and what is too much is
dropped, since a stranger types it; `remarks` reports both. This module reads no index; what a tree
means to the index is in `retrieve.py`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rookery.search.engine.analysis import exact_tokens, fold, ranking_terms

MAX_CHARACTERS = 2_000
"""A query is cut after so many characters, between two words."""
MAX_WORDS = 64
"""Words after the first 64 are ignored: each costs time, and nobody types more."""
MAX_FILTERS = 16
"""Filters (authors, languages, tags, mentions, dates, likes) after the first 16 are ignored."""
MAX_DEPTH = 12
"""Brackets nested deeper than this are ignored; the words inside them still count."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word as typed; posts match by its stem."""

    text: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words next to each other, as written."""

    text: str


@dataclass(frozen=True, slots=True)
class Field:
    """An equality with one value of `author`, `language`, `tags` or `mentions`."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Since:
    """Posts written at this moment or later."""

    moment: datetime


@dataclass(frozen=True, slots=True)
class Until:
    """Posts written before this moment."""

    moment: datetime


@dataclass(frozen=True, slots=True)
class MinLikes:
    """Posts with at least this number of likes."""

    likes: int


@dataclass(frozen=True, slots=True)
class Not:
    """Posts that do not match."""

    part: "Node"


@dataclass(frozen=True, slots=True)
class And:
    """Posts that match every part; every post matches if there are no parts."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Posts that match at least one part."""

    parts: tuple["Node", ...]


Node = Word | Phrase | Field | Since | Until | MinLikes | Not | And | Or


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
        return " ".join(_wanted(self.root))

    @property
    def terms(self) -> tuple[str, ...]:
        """Return the terms that ranking counts, each once."""
        return ranking_terms(self.text)

    def without_plain_words(self) -> And:
        """Return the parts that stay required when plain words become optional."""
        return And(tuple(p for p in self.root.parts if not is_plain(p)))

    def plain_words(self) -> tuple[Node, ...]:
        """Return the parts that may become optional: words, and combinations of words only."""
        return tuple(p for p in self.root.parts if is_plain(p))


def words_query(text: str) -> Query:
    """Return a query of the text's words alone, ignoring signs: for questions and judged topics."""
    return Query(And(tuple(Word(token) for token in list(exact_tokens(text))[:MAX_WORDS])))


def is_plain(node: Node) -> bool:
    """Return whether a part is a word, or made of words only."""
    match node:
        case Word():
            return True
        case And(parts) | Or(parts):
            return all(is_plain(p) for p in parts)
    return False


def parse(text: str) -> Query:
    """Parse what a person typed."""
    kept = _cut(text)
    parser = _Parser(list(_lex(kept)))
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
    | (?P<phrase>(?P<minus_phrase>-?)"(?P<inside>[^"]*)")
    | (?P<open>-?\()
    | (?P<close>\))
    | (?P<word>[^\s()"]+)
    | (?P<quote>")
    """,
    re.VERBOSE,
)
_FIELDS = {"from": "author", "lang": "language", "language": "language"}
_OPERATOR = re.compile(r"([a-z_]+):(.+)", re.IGNORECASE)


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
            case "word":
                word = found["word"]
                negated = len(word) > 1 and word[0] == "-" and word[1] != "-"
                is_or = word in ("OR", "|")
                yield _Token("or" if is_or else "word", word[1:] if negated else word, negated)


@dataclass
class _Parser:
    """A recursive descent over the tokens, with the remarks and what was counted so far."""

    tokens: list[_Token]
    place: int = 0
    remarks: list[str] = field(default_factory=list)
    words: int = 0
    filters: int = 0
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
        tokens = list(exact_tokens(text))
        fitting = self._fitting(tokens, f"“{text.strip()}”")
        if len(fitting) < len(tokens):
            text = " ".join(fitting)
        return Phrase(text.strip()) if fitting else None

    def _word(self, text: str) -> Node | None:
        part = self._operator(text) or _signed(text)
        if part is not None:
            return part if self._fits_filters(text) else None
        tokens = list(exact_tokens(text))
        fitting = self._fitting(tokens, text)
        if len(fitting) < len(tokens):  # a long text without blanks
            return And(tuple(map(Word, fitting))) if fitting else None
        return Word(text) if tokens else None

    def _operator(self, text: str) -> Node | None:
        """Return the part for `name:value`, or None if there is none, it is a link, or unknown."""
        found = _OPERATOR.fullmatch(text)
        if found is None:
            return None
        name, value = found[1].lower(), found[2]
        if name in _FIELDS:
            return Field(_FIELDS[name], fold(value).lstrip("@"))
        if name in ("since", "until"):
            moment = _moment(value)
            if moment is None:
                self._unread(f"{name}:{value} has no date like 2026-01-31")
                return None
            return Since(moment) if name == "since" else Until(moment)
        if name in ("min_likes", "min_faves"):
            if not re.fullmatch(r"[0-9]{1,18}", value):
                self._unread(f"{name}:{value} has no number")
                return None
            return MinLikes(int(value))
        if not value.startswith("//"):  # a link
            self._unread(f"{name}: is no operator")
        return None

    def _unread(self, why: str) -> None:
        self.remark(f"{why}, so it was taken as words")

    def _fitting(self, tokens: list[str], text: str) -> list[str]:
        """Count the words of a part, and return the first of them that are within `MAX_WORDS`."""
        left = max(MAX_WORDS - self.words, 0)
        self.words += len(tokens)
        self._fits(self.words, MAX_WORDS, "words", text)
        return tokens[:left]

    def _fits_filters(self, text: str) -> bool:
        """Count a filter, and return whether it is still within `MAX_FILTERS`."""
        self.filters += 1
        return self._fits(self.filters, MAX_FILTERS, "filters", text)

    def _fits(self, count: int, most: int, what: str, text: str) -> bool:
        if count > most:
            self.dropped.setdefault(f"only the first {most} {what} were used", []).append(text)
        return count <= most

    def remark(self, text: str) -> None:
        """Report something once."""
        if text not in self.remarks:
            self.remarks.append(text)

    def _peek(self) -> _Token | None:
        return self.tokens[self.place] if self.place < len(self.tokens) else None


def _signed(text: str) -> Field | None:
    """Return the part for a tag or a mention, or None if the word is neither."""
    name = fold(text[1:]).rstrip(".,;:!?")
    if text[0] not in "#＃@＠" or not name or not list(exact_tokens(name)):
        return None
    return Field("tags" if text[0] in "#＃" else "mentions", name)


def _listed(texts: Sequence[str], most: int = 3) -> str:
    """Return the first texts and how many more there are."""
    rest = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {rest} more" if rest > 0 else "")


def _moment(text: str) -> datetime | None:
    """Read a day (its first moment) or a moment in ISO 8601; UTC unless it has a zone."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# Describing
# -------------------------------------------------------------------------------------------------


def describe(node: Node) -> str:
    """Return a part in plain words."""
    match node:
        case Word(text):
            return text
        case Phrase(text):
            return f"“{text}”"
        case Field("author", value):
            return f"by {value}"
        case Field("language", value):
            return f"in {value}"
        case Field("tags", value):
            return f"tagged #{value}"
        case Field(_, value):
            return f"mentioning @{value}"
        case Since(moment):
            return f"from {_plain_moment(moment)} on"
        case Until(moment):
            return f"before {_plain_moment(moment)}"
        case MinLikes(likes):
            return f"with at least {likes} likes"
        case Not(part):
            return f"without {_in_brackets(part)}"
        case Or(parts):
            return " or ".join(_in_brackets(p) for p in parts)
        case And(()):
            return "every post"
        case And(parts):
            return ", ".join(describe(p) for p in parts)


def _in_brackets(node: Node) -> str:
    text = describe(node)
    return f"({text})" if isinstance(node, And | Or) else text


def _plain_moment(moment: datetime) -> str:
    whole_day = (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0)
    return f"{moment:%Y-%m-%d}" if whole_day else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _wanted(node: Node) -> Iterator[str]:
    match node:
        case Word(text) | Phrase(text):
            yield text
        case Field("tags" | "mentions", value):
            yield value
        case And(parts) | Or(parts):
            for part in parts:
                yield from _wanted(part)
