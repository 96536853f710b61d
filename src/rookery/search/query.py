"""The query language: parses what a person typed into a small tree, and describes it in words.

    tram late             posts with both words            "night tram"     the words in this order
    tram OR bus           either                           -bus  -(a OR b)  without
    (tram OR bus) late    brackets                         #rooks  @ada     tag, mention
    from:ada  lang:en     author, language                 min_likes:5      at least 5 likes
    since:2026-01-31      from that day on (UTC)           until:2026-02-28 before that day

As on X and Bluesky, a post needs all the words unless OR is between them, and OR is written in
capitals. Parsing never fails: what cannot be understood is taken as words, and `remarks` reports
it. This module reads no index; what a tree means to the index is in `retrieve.py`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rookery.search.engine.analysis import exact_tokens, fold, ranking_terms

MAX_WORDS = 64
"""Words after the first 64 are ignored: each costs time, and nobody types more."""
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
    return _Parser(list(_lex(text))).parse()


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
    """A recursive descent over the tokens, with the remarks and the number of words so far."""

    tokens: list[_Token]
    place: int = 0
    remarks: list[str] = field(default_factory=list)
    words: int = 0

    def parse(self) -> Query:
        parts: list[Node] = []
        while self.place < len(self.tokens):
            parts += self._any_of(0)
            if self.place < len(self.tokens):  # a closing bracket that was never opened
                self.place += 1
                self._remark("a bracket without its other half was left out")
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
                self._remark("a quotation mark without its other half was left out")
                return None
            case _:
                node = self._word(token.text)
        return Not(node) if node is not None and token.negated else node

    def _bracket(self, depth: int) -> Node | None:
        if depth >= MAX_DEPTH:
            self._remark("brackets nested too deep were left out")
            return None
        parts = self._any_of(depth + 1)
        if self._peek() is None:
            self._remark("a bracket without its other half was left out")
        self.place += 1
        return parts[0] if len(parts) == 1 else And(tuple(parts)) if parts else None

    def _phrase(self, text: str) -> Node | None:
        tokens = list(exact_tokens(text))
        if not self._count(len(tokens)):
            return None
        return Phrase(text.strip()) if tokens else None

    def _word(self, text: str) -> Node | None:
        if operator := _OPERATOR.fullmatch(text):
            node = self._operator(operator[1].lower(), operator[2])
            if node is not None:
                return node
        if (
            text[0] in "#＃@＠"
            and (name := fold(text[1:]).rstrip(".,;:!?"))
            and list(exact_tokens(name))
        ):
            return Field("tags" if text[0] in "#＃" else "mentions", name)
        tokens = list(exact_tokens(text))
        if not tokens or not self._count(len(tokens)):
            return None
        return Word(text)

    def _operator(self, name: str, value: str) -> Node | None:
        """Return the part for `name:value`, or None if it is a link, or (with a remark) unknown."""
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
        if value.startswith("//"):
            return None  # a link
        self._unread(f"{name}: is no operator")
        return None

    def _unread(self, why: str) -> None:
        self._remark(f"{why}, so it was taken as words")

    def _count(self, n: int) -> bool:
        """Count words, and return whether they are still within `MAX_WORDS`."""
        self.words += n
        if self.words > MAX_WORDS:
            self._remark(f"only the first {MAX_WORDS} words were used")
        return self.words <= MAX_WORDS

    def _remark(self, text: str) -> None:
        if text not in self.remarks:
            self.remarks.append(text)

    def _peek(self) -> _Token | None:
        return self.tokens[self.place] if self.place < len(self.tokens) else None


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
