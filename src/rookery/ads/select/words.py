"""Words: which keywords a text has, of all that are known, in any script.

A keyword is known under one or more terms, each a word, up to three words in a row, a pair of
words, or a whole text, so that a text is looked up by its own terms and no keyword is compared with
it that has no term in common. Longer keywords are then checked word by word.

Not here: who bids on a keyword (`index.py`).
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import combinations

from rookery.ads.terms.objects import Keyword
from rookery.core.scripts import UNSPACED

MOST_WORDS = 512
"""Of a text; who writes a longer one is read so far."""
_LONGEST_RUN = 3

# A word; in scripts that are written without spaces, each character is one.
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")


def words_of(text: str) -> list[str]:
    """Return the words of a text, in one case and one encoding of each character."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


class Keywords:
    """The keywords that are known, by their numbers. texts: as they were written."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._runs: dict[str, int] = {}  # a keyword of up to three words, to its number
        self._wholes: dict[str, int] = {}  # a whole text
        self._long: dict[str, list[tuple[str, int]]] = {}  # its first three words, to keywords
        self._pairs: dict[tuple[str, str], list[tuple[tuple[str, ...], int]]] = {}
        self._paired: set[str] = set()  # words that are in a pair

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, keyword: Keyword) -> int:
        """Return the number of a keyword, new or known; those that match alike share it.

        A keyword without any word is found in no text.
        """
        words, kind = words_of(keyword.text), keyword.match
        if kind == "word":
            words = sorted(set(words))
            kind = "phrase" if len(words) == 1 else kind
        name = " ".join(words)
        number = self._numbers.setdefault(f"{kind} {name}", len(self._numbers))
        if number == len(self.texts):
            self.texts.append(keyword.text)
            self._enter(kind, words, name, number)
        return number

    def _enter(self, kind: str, words: Sequence[str], name: str, number: int) -> None:
        if not words:
            return
        if kind == "exact":
            self._wholes[name] = number
        elif kind == "word" and len(words) > 1:
            rarest = sorted(words, key=lambda word: (-len(word), word))[:2]  # the longest, mostly
            first, second = sorted(rarest)
            self._pairs.setdefault((first, second), []).append((tuple(words), number))
            self._paired.update((first, second))
        elif len(words) <= _LONGEST_RUN:
            self._runs[name] = number
        else:
            key = " ".join(words[:_LONGEST_RUN])
            self._long.setdefault(key, []).append((f" {name} ", number))

    def found_in(self, words: Sequence[str]) -> list[int]:
        """Return the numbers of the keywords that a text has, given by its words, each once."""
        words = words[:MOST_WORDS]
        found = dict.fromkeys(self._runs_in(words))
        if self._wholes and (whole := self._wholes.get(" ".join(words))) is not None:
            found[whole] = None
        if self._paired:
            found.update(dict.fromkeys(self._pairs_in(words)))
        return list(found)

    def _runs_in(self, words: Sequence[str]) -> Iterable[int]:
        runs, long = self._runs, self._long
        spaced = f" {' '.join(words)} " if long else ""
        for length in range(1, _LONGEST_RUN + 1):
            for start in range(len(words) - length + 1):
                run = " ".join(words[start : start + length])
                if (number := runs.get(run)) is not None:
                    yield number
                if length == _LONGEST_RUN and run in long:
                    yield from (number for text, number in long[run] if text in spaced)

    def _pairs_in(self, words: Sequence[str]) -> Iterable[int]:
        present = set(words)
        for pair in combinations(sorted(present & self._paired), 2):
            for needed, number in self._pairs.get(pair, ()):
                if present.issuperset(needed):
                    yield number
