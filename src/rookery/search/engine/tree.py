"""The tree of a query: what a post has to have, as parts in parts, and the same in plain words.

Nodes are values and know nothing of an index. How a text becomes a tree is in `query.py`, which
signs and names stand for which node in `operators.py`, and what a tree finds in `match.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Word:
    """One word as typed; posts match by its stem."""

    text: str


@dataclass(frozen=True, slots=True)
class Prefix:
    """The beginning of a word, folded."""

    text: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words next to each other, as written."""

    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """A link, or a part of one: its parts next to each other."""

    text: str


@dataclass(frozen=True, slots=True)
class Field:
    """An equality with one value of a field of `fields.KEYWORDS`, such as `author` or `flags`."""

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
class AtLeast:
    """Posts with at least this number of `likes`, `reposts` or `replies`."""

    name: str
    number: int


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
    """Posts that match at least one part; none matches if there are no parts."""

    parts: tuple["Node", ...]


Node = Word | Prefix | Phrase | Link | Field | Since | Until | AtLeast | Not | And | Or
NOTHING = Or(())
"""What no post matches."""

FLAGS = {  # what `has:`, `is:` and `filter:` tell: the words for a post with it, and without
    "media": ("with media", "without media"),
    "image": ("with an image", "without an image"),
    "video": ("with a video", "without a video"),
    "audio": ("with sound", "without sound"),
    "gif": ("with a GIF", "without a GIF"),
    "poll": ("with a poll", "without a poll"),
    "link": ("with a link", "without a link"),
    "mention": ("with a mention", "without a mention"),
    "tag": ("with a hashtag", "without a hashtag"),
    "cashtag": ("with a cashtag", "without a cashtag"),
    "alt": ("with a description of its media", "without a description of its media"),
    "quote": ("quoting a post", "quoting no post"),
    "reply": ("only replies", "no replies"),
    "repost": ("only reposts", "no reposts"),
    "sensitive": ("only sensitive posts", "no sensitive posts"),
}
_FIELD_WORDS = {
    "author": "by {}",
    "to": "to {}",
    "mentions": "mentioning @{}",
    "tags": "tagged #{}",
    "cashtags": "with ${}",
    "language": "in {}",
    "domain": "with a link to {}",
    "conversation": "in the conversation {}",
    "quote_of": "quoting {}",
    "reply_to": "replying to {}",
    "id": "the post {}",
}


def is_plain(node: Node) -> bool:
    """Return whether a part is a word, or made of words only."""
    match node:
        case Word():
            return True
        case And(parts) | Or(parts):
            return bool(parts) and all(map(is_plain, parts))
    return False


def wanted(node: Node) -> Iterator[Word | Prefix | Phrase | Field]:
    """Yield the parts that a post may have in its text, without what is excluded."""
    match node:
        case Word() | Prefix() | Phrase() | Field("tags" | "mentions" | "cashtags", _):
            yield node
        case And(parts) | Or(parts):
            for part in parts:
                yield from wanted(part)


def describe(node: Node) -> str:
    """Return a part in plain words; moments in the zone that they have."""
    match node:
        case Word(text):
            return text
        case Prefix(text):
            return f"{text}…"
        case Phrase(text):
            return f"“{text}”"
        case Link(text):
            return f"with the link {text}"
        case Field("flags", value):
            return FLAGS[value][0]
        case Field(name, value):
            return _FIELD_WORDS[name].format(value)
        case Since(moment):
            return f"from {_plain_moment(moment)} on"
        case Until(moment):
            return f"before {_plain_moment(moment)}"
        case AtLeast(name, number):
            return f"with at least {number} {name}"
        case Not(part):
            return _without(part)
        case Or(()):
            return "no post"
        case Or(parts):
            return " or ".join(_in_brackets(p) for p in parts)
        case And(()):
            return "every post"
        case And(parts):
            return ", ".join(map(describe, parts))


def _without(part: Node) -> str:
    match part:
        case Field("flags", value):
            return FLAGS[value][1]
        case AtLeast(name, number):
            return f"with fewer than {number} {name}"
        case Since(moment):
            return describe(Until(moment))
        case Until(moment):
            return describe(Since(moment))
        case Word() | Prefix() | Phrase():
            return f"without {describe(part)}"
        case And() | Or() if is_plain(part):
            return f"without {_in_brackets(part)}"
    return f"not {_in_brackets(part)}"


def _in_brackets(node: Node) -> str:
    text = describe(node)
    return f"({text})" if isinstance(node, And | Or) else text


def _plain_moment(moment: datetime) -> str:
    day, time = f"{moment:%Y-%m-%d}", f"{moment:%H:%M:%S}"
    zone = "UTC" if moment.tzinfo is UTC else moment.tzname() or ""
    whole_day = time == "00:00:00" and not moment.microsecond
    return day if whole_day else f"{day} {time} {zone}".rstrip()
