"""Columns that say who may read a post: found by their names, read by the words in them.

A platform may call it `visibility`, `isPrivate`, `author.protected` or `Audience`. Every column
whose name speaks of readers counts, mapped or not, and a post is as visible as the narrowest of
them says. A word that is not understood means `unknown`, which no use accepts; a column of which no
word is understood refuses the file by its name, for a guess could publish what was written for few.

Not here: states that a network may take back (suspended, deleted), and consent.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from rookery.posts.post import VISIBILITIES, Visibility
from rookery.posts.sources.tables.missing import without_missing

Says = Literal["audience", "open", "closed", "shown", "hiding"]
"""What a column says: who the readers are, that all may read, that not all may, or that the post is
shown or hidden.
"""

_ANSWERS: Mapping[Says, tuple[Visibility | None, Visibility | None]] = {
    "open": ("public", "unknown"),
    "closed": ("followers", "public"),
    "shown": (None, "unknown"),
    "hiding": ("unknown", None),
}
"""What yes and no mean in each; None where the answer says nothing of the readers."""
_YES, _NO = (
    {"true", "yes", "t", "y", "1", "1.0", "on"},
    {"false", "no", "f", "n", "0", "0.0", "off"},
)
_EMPTY = {"[]", "{}"}
_WORDS: Mapping[Visibility, str] = {
    "public": "public, everyone, everybody, anyone, all, world, open, publico, offentlich, "
              "as public, https www w org ns activitystreams public",
    "unlisted": "unlisted, quiet public, home",
    "followers": "followers, followers only, private, protected, mutuals, subscribers, "
                 "subscribers only, members, members only, circle, limited, restricted",
    "direct": "direct, direct message, dm, mentioned, specified, self, me, only me",
    "unknown": "unknown, internal, local, custom, hidden, friends, all friends, friends only, "
               "friends of friends",
}  # fmt: skip
"""The words of networks for each visibility; of Mastodon, `private` means followers."""
_READERS = {word: found for found, words in _WORDS.items() for word in words.split(", ")}

_OF_READERS = re.compile("visib|privacy|audience|sichtbar")
_NOT_ALL = re.compile("(protected|private|privat|privad[oa]|privee?|geschutzt)$")
_ALL = re.compile("^(is)?(public|publico|publica|publique|pubblico|offentlich)$")
_HIDDEN = {"hidden", "ishidden", "unlisted", "isunlisted", "withheld"}
_ALONE: Mapping[str, Says] = {
    **dict.fromkeys(("scope", "access", "sharing", "readers"), "audience"),
    **dict.fromkeys(("restricted", "internal", "secret", "circle", "limited"), "hiding"),
    **dict.fromkeys(("dm", "direct", "confidential"), "hiding"),
}
"""Words that speak of readers only where nothing but whose or what kind stands beside them."""
_BESIDE = {
    "is", "are", "was", "has", "post", "posts", "account", "user", "profile", "author", "tweet",
    "tweets", "status", "message", "flag", "level", "type", "setting", "settings", "value", "mode",
    "control",
}  # fmt: skip
_MEASURES = {
    "count", "counts", "metrics", "score", "scores", "size", "url", "uri", "link", "token", "key",
    "total", "reach", "rank", "rate", "percent", "views", "number", "replies",
}  # fmt: skip
"""Last words of names that measure or name something else, such as `audience_size`."""
_DATED = {"at", "on", "date", "time", "since", "until"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_MOST_WORDS = 1000
_UNDERSTOOD = "public, unlisted, followers, direct or unknown"


def what_it_says(column: str) -> Says | None:
    """Return what a column says about readers, by its name; None if it does not speak of them."""
    words = words_of(column)
    if not words or words[-1] in _MEASURES or {"policy", "score"} & set(words):
        return None
    if words[-1] in _DATED:  # protected_at: there is a date or there is none
        return "hiding" if _hides(words[:-1]) else None
    if "withheld" in words:
        return "hiding"
    words = [word for word in words if word not in _BESIDE] or words
    last = words[-1]
    if last in ("visible", "viewable", "isvisible"):
        return "shown"
    if any(_OF_READERS.search(word) for word in words) or words[:2] == ["who", "can"]:
        return "audience"
    if _NOT_ALL.search(last):
        return "closed"
    if _ALL.search(last):
        return "open"
    if _hides(words):
        return "hiding"
    return _ALONE.get(last) if len(words) == 1 else None


def _hides(words: Sequence[str]) -> bool:
    is_for_some = len(words) > 1 and words[-1] == "only" and " ".join(words) in _READERS
    is_named = any(word in _HIDDEN or _NOT_ALL.search(word) for word in words)
    return is_for_some or is_named


def words_of(name: str) -> list[str]:
    """Return the words of a name in small letters: `author.isProtected` has three."""
    plain = unicodedata.normalize("NFKD", name)
    return [word.lower() for word in _WORD.findall("".join(c for c in plain if c.isascii()))]


@dataclass(frozen=True)
class VisibilityReading:
    """The decision how a column about readers is read.

    meanings: the visibility by each word of the column. refusal, hint: why the column cannot be
    read, and what would help.
    """

    how: str
    why: str
    says: Says
    refusal: str | None = None
    hint: str | None = None

    @property
    def decides_all(self) -> bool:
        """Return whether no row is left to what the person vouches for."""
        return self.says in ("audience", "open", "closed")

    def read(self, column: pa.Array) -> np.ndarray:
        """Return the place of each row's visibility in `VISIBILITIES`, -1 for none, int8 (n,)."""
        encoded = without_missing(column).dictionary_encode()
        found = [_place(_meaning(word, self.says)[0]) for word in encoded.dictionary.to_pylist()]
        found.append(_place("unknown" if self.decides_all else None))  # of a row without a word
        places = encoded.indices.fill_null(len(found) - 1).to_numpy(zero_copy_only=False)
        return np.array(found, np.int8)[places]


class VisibilityJudge:
    """The words of a column so far."""

    def __init__(self, says: Says):
        self._says: Says = says
        self._words: Counter[str] = Counter()

    def look(self, column: pa.Array) -> None:
        """Look at the next batch of the column."""
        for found in without_missing(column).value_counts().to_pylist():
            word, count = found["values"], found["counts"]
            if word is not None and (word in self._words or len(self._words) < _MOST_WORDS):
                self._words[word] += count

    def reading(self) -> VisibilityReading:
        """Return the reading that the words seen decide."""
        known = Counter[str]()
        strange = []
        for word, count in self._words.most_common():
            visibility, is_understood = _meaning(word, self._says)
            if is_understood:
                known[visibility or "no restriction"] += count
            else:
                strange.append(word)
        shown = " and ".join(map(repr, strange[:2]))
        if strange and not known:
            hint = f"Write {_UNDERSTOOD} in it; if it says nothing of readers, leave it out"
            refusal = f"speaks of who may read, in words that are not known: {shown}"
            return VisibilityReading("visibility", "", self._says, refusal, hint)
        why = ", ".join(f"{name} {count:,}" for name, count in known.most_common()) or "it is empty"
        why += f"; unknown for words such as {shown}" if strange else ""
        return VisibilityReading(f"visibility ({self._says})", why, self._says)


def narrowest(places: Sequence[np.ndarray], otherwise: Visibility, n: int) -> pa.Array:
    """Return the narrowest visibility that some columns give each of n rows, as strings.

    places: for each column, as `VisibilityReading.read` returns them. otherwise: for rows of which
    no column says anything.
    """
    found = np.full(n, -1, np.int8)
    for column in places:
        found = np.maximum(found, column)
    names = pa.array([*VISIBILITIES, otherwise])  # the last one is the place -1
    return names.take(pa.array(np.where(found < 0, len(VISIBILITIES), found)))


def _place(visibility: Visibility | None) -> int:
    return -1 if visibility is None else VISIBILITIES.index(visibility)


def _meaning(word: str, says: Says) -> tuple[Visibility | None, bool]:
    """Return the visibility that a word means, and whether it is understood."""
    answer = word.lower()
    if says != "audience" and (answer in _YES or answer in _NO):
        return _ANSWERS[says][answer in _NO], True
    if (known := _READERS.get(" ".join(words_of(word)))) is not None:
        is_unless_public = says == "hiding" and known == "public"
        return (None if is_unless_public else known), True
    if says == "hiding":
        return (None if word in _EMPTY else "unknown"), True
    return "unknown", False
