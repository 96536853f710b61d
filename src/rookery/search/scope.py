"""A reader's scope: what one person may be shown, taken into account while posts are looked for.

Posts out of scope are no candidates, so that a page is filled up with others. Out of scope are the
posts of authors whom the reader blocked or muted or who blocked the reader, posts with a muted
word, and sensitive posts unless the reader wants them. (What is withheld in the reader's country is
no matter of scope: it leaves no trace, `visible.py`.) A word is muted as a search for it finds it,
in all its forms; several words are muted where they stand together as written.

Not here: where readers are stored (`readers.py`), and what nobody may be shown (`visible.py`).
"""

from dataclasses import dataclass

import numpy as np

from rookery.core.arrays import among
from rookery.search.engine.analysis import variants
from rookery.search.engine.columns import SENSITIVE, Columns, author_hash, hashed
from rookery.search.engine.reader import Allowed
from rookery.search.engine.words import exact_tokens, is_run, pieces, words_of


@dataclass(frozen=True)
class KnownReader:
    """Somebody who reads, as the platform knows them.

    name: as an author's. blocks, mutes: authors whose posts the reader does not want. blocked_by:
    authors who blocked the reader. country: two letters (ISO 3166), or None where it is unknown.
    sensitive: whether the reader wants sensitive posts.
    """

    name: str
    blocks: tuple[str, ...] = ()
    mutes: tuple[str, ...] = ()
    muted_words: tuple[str, ...] = ()
    country: str | None = None
    sensitive: bool = False
    blocked_by: tuple[str, ...] = ()


def scope_of(reader: KnownReader | None) -> Allowed | None:
    """Return what a reader may be shown; None, which is everything, for a stranger."""
    if reader is None:
        return None
    hidden = {*reader.blocks, *reader.mutes, *reader.blocked_by}
    authors = np.unique(np.fromiter(map(author_hash, hidden), np.uint64, len(hidden)))
    muted = muted_words(reader.muted_words)

    def allowed(columns: Columns, ordinals: np.ndarray) -> np.ndarray:
        free = ~among(columns.authors[ordinals], authors)
        if not reader.sensitive:
            free &= (columns.flags[ordinals] & SENSITIVE) == 0
        left = np.flatnonzero(free)
        free[left] = ~muted.are_in(columns, ordinals[left])
        return free

    return allowed


@dataclass(frozen=True)
class MutedWords:
    """Words that a reader does not want to see, as hashes of `Columns`.

    terms, exact: uint32, sorted: words that stand alone, in all forms and as written. phrases:
    words that stand together, as written, uint32.
    """

    terms: np.ndarray
    exact: np.ndarray
    phrases: tuple[np.ndarray, ...]

    def are_in(self, columns: Columns, ordinals: np.ndarray) -> np.ndarray:
        """Return which of some ordinals have any of the words, as bools."""
        found = np.zeros(len(ordinals), bool)
        if not (len(self.exact) or self.phrases):
            return found
        places, owners = columns.places_of(ordinals)
        exact = columns.exact[places]
        alone = np.isin(exact, self.exact) | np.isin(columns.terms[places], self.terms)
        found[owners[alone]] = True
        for phrase in self.phrases:
            begins = _begins(exact, phrase)
            is_in_one_post = owners[begins] == owners[begins + len(phrase) - 1]
            found[owners[begins[is_in_one_post]]] = True
        return found


def muted_words(texts: tuple[str, ...]) -> MutedWords:
    """Return muted words or phrases as hashes."""
    terms: list[str] = []
    alone: list[str] = []
    phrases: list[np.ndarray] = []
    for text in texts:
        words, exact = words_of(pieces(text)), list(exact_tokens(text))
        if len(exact) > 1:
            phrases.append(hashed(exact))
            continue
        alone += exact
        terms += (term for word in words if not is_run(word[0]) for term in variants(word))
    return MutedWords(np.unique(hashed(terms)), np.unique(hashed(alone)), tuple(phrases))


def _begins(exact: np.ndarray, phrase: np.ndarray) -> np.ndarray:
    """Return the places in `exact` where a phrase begins."""
    found = np.flatnonzero(exact[: max(0, len(exact) - len(phrase) + 1)] == phrase[0])
    for step, word in enumerate(phrase[1:].tolist(), 1):
        found = found[exact[found + step] == word]
    return found
