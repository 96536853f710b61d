"""The inventory: all groups that are sold, and which of them a text may concern.

    words of a text ─► keywords that it has ─► rows that bid on them  ┐
    its vector ──────► rows that it is near to in meaning             ┴─► the best by worth

A sealed part holds nearly all groups, in arrays; a small fresh one holds those that changed since,
and is merged with it in the background once it has grown. Of a row whose keywords changed the
sealed part still tells the old ones, so that candidates are compared with their own keywords.

Whoever uses it does so under one lock; only merging happens beside it. Not here: whether a group
runs (`rules.py`), and what a view is worth to it (`market.py`).
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from rookery.ads.select.columns import GroupColumns, NumberLists
from rookery.ads.select.nearness import (
    FEW,
    SIMILAR_ENOUGH,
    Meanings,
    Vectors,
    meaning_of,
    sorted_into_lists,
)
from rookery.ads.select.words import Keywords
from rookery.ads.terms.objects import Listing
from rookery.core.protocols import Embedder

MOST_CANDIDATES = 200
_FRESH_ROWS = 1_000
_FRESH_SHARE = 0.02
_AGAIN = 64
_EMBEDDED_TOGETHER = 1_024


@dataclass(frozen=True)
class Candidates:
    """Groups that may be shown beside a text.

    rows: int64 (n,), ascending. keywords: numbers of those of the text that any of them bids on;
    matched: bool (n, keywords), who bids on which. similarity: to the meaning of each, in standard
    deviations. excluded: who must not stand beside the text,
    bool (n,). others: rows that the text concerns, too, and that do not run or are worth less.
    """

    rows: np.ndarray
    keywords: tuple[int, ...]
    matched: np.ndarray
    similarity: np.ndarray
    excluded: np.ndarray
    others: np.ndarray

    def best(self, worth: np.ndarray, most: int) -> "Candidates":
        """Return those to which a view is worth most. worth: by row, float64 (rows,)."""
        if len(self.rows) <= most:
            return self
        return self.only(np.sort(np.argpartition(-worth[self.rows], most)[:most]))

    def only(self, keep: np.ndarray) -> "Candidates":
        """Return some of them; keep: bool (n,), or places in order."""
        return Candidates(
            self.rows[keep],
            self.keywords,
            self.matched[keep],
            self.similarity[keep],
            self.excluded[keep],
            self.others,
        )


@dataclass(frozen=True)
class _Sealed:
    """The rows that bid on each keyword, rows[starts[k] : starts[k + 1]], and all vectors.

    epoch: up to which change of the inventory it has all.
    """

    starts: np.ndarray
    rows: np.ndarray
    vectors: Vectors
    epoch: int

    def of(self, keyword: int) -> np.ndarray:
        """Return the rows that bid on a keyword."""
        if keyword + 1 >= len(self.starts):
            return self.rows[:0]
        return self.rows[self.starts[keyword] : self.starts[keyword + 1]]


class Inventory:
    """All groups that are sold."""

    def __init__(self, embedder: Embedder) -> None:
        self.columns, self.keywords = GroupColumns(), Keywords()
        self._bids, self._excluded = NumberLists(), NumberLists()
        self._meanings = Meanings(embedder)
        self._words_of: list[int] = []  # a hash of the words of each row
        self._epoch = 0
        self._fresh: dict[int, list[int]] = {}  # rows by keyword
        self._fresh_since: dict[int, int] = {}  # the change in which a row became fresh
        self._fresh_vectors = self._meanings.none
        self._sealed = self._seal(0)
        self._merged: _Sealed | None = None
        self._merging: threading.Thread | None = None

    def load(self, listings: Iterable[Listing]) -> None:
        """Put all groups in, and seal them."""
        for some in _parts(listings, _EMBEDDED_TOGETHER):
            self._put(some)
        self._seal_all()

    def change(self, listings: Iterable[Listing]) -> None:
        """Put groups in that are new or changed; the next request sees them."""
        self._adopt_merged()
        rows = [row for some in _parts(listings, _EMBEDDED_TOGETHER) for row in self._put(some)]
        if len(self.columns) <= FEW or not rows:
            if rows:
                self._seal_all()
            return
        for row in rows:
            self._fresh_since[row] = self._epoch
            for keyword in self._bids.of(np.array([row]))[0].tolist():
                self._fresh.setdefault(keyword, []).append(row)
        self._fresh_vectors = self._meanings.of_rows(self._fresh_since)
        if len(self._fresh_since) > max(_FRESH_ROWS, _FRESH_SHARE * len(self.columns)):
            self._merge()

    def _put(self, listings: Sequence[Listing]) -> list[int]:
        """Put groups in, and return the rows whose words are new."""
        self._epoch += 1
        changed: list[int] = []
        texts: list[tuple[int, list[str]]] = []
        for listing in listings:
            row, target = self.columns.put(listing), listing.group.targeting
            words = hash((target.keywords, target.excluded, target.meaning, listing.versions))
            if row < len(self._words_of) and self._words_of[row] == words:
                continue
            self._words_of[row : row + 1] = [words]
            self._bids.put(row, [self.keywords.number(word) for word in target.keywords])
            self._excluded.put(row, [self.keywords.number(word) for word in target.excluded])
            changed.append(row)
            texts.append((row, meaning_of(listing)))
        self._meanings.put(texts)
        return changed

    # Sealing and merging
    # ---------------------------------------------------------------------------------------------

    def _seal_all(self) -> None:
        self._meanings.measure(self.keywords.texts, self._bids)
        self._sealed = self._seal(self._epoch)
        self._fresh, self._fresh_since = {}, {}
        self._fresh_vectors = self._meanings.none

    def _seal(self, epoch: int) -> _Sealed:
        keywords, rows = self._bids.of(np.arange(len(self.columns)))
        return _sealed(keywords, rows, len(self.keywords), self._meanings.all(), epoch)

    def _merge(self) -> None:
        """Begin to merge the fresh part with the sealed one, unless that goes on already."""
        if self._merging is not None and self._merging.is_alive():
            return
        keywords, rows = self._bids.of(np.arange(len(self.columns)))
        known, vectors, epoch = len(self.keywords), self._meanings.all(), self._epoch
        before = self._sealed.vectors

        def merge() -> None:
            self._merged = _sealed(keywords, rows, known, vectors, epoch, before)

        self._merging = threading.Thread(target=merge, name="merging ads", daemon=True)
        self._merging.start()

    def _adopt_merged(self) -> None:
        """Take what was merged over; what has changed since it began stays fresh."""
        if self._merged is None:
            return
        self._sealed, self._merged = self._merged, None
        still = {
            row: epoch for row, epoch in self._fresh_since.items() if epoch > self._sealed.epoch
        }
        self._fresh_since, self._fresh = still, {}
        for row in still:
            for keyword in self._bids.of(np.array([row]))[0].tolist():
                self._fresh.setdefault(keyword, []).append(row)
        self._fresh_vectors = self._meanings.of_rows(still)

    # Candidates
    # ---------------------------------------------------------------------------------------------

    def candidates(
        self,
        words: Sequence[str],
        vector: np.ndarray,
        worth: np.ndarray,
        most: int = MOST_CANDIDATES,
    ) -> Candidates:
        """Return the groups that a text may concern, the `most` to which a view is worth most.

        words: of the text (`words.words_of`). vector: of the text (dimensions,). worth: of a view
        to each row now, float64 (rows,); 0 where it does not run.
        """
        self._adopt_merged()
        found = self.keywords.found_in(words)
        near = self._near(vector)
        parts = [self._sealed.of(keyword) for keyword in found]
        parts += [np.array(self._fresh[k], np.int32) for k in found if k in self._fresh]
        concerned = np.concatenate([*parts, near])
        values = worth[concerned]
        runs = values > 0
        others = np.unique(concerned[~runs]).astype(np.int64)
        rows, values = concerned[runs], values[runs]
        enough = most + _AGAIN  # a row may be there several times
        if len(rows) > enough:
            rows = rows[np.argpartition(values, -enough)[-enough:]]
        rows = np.unique(rows).astype(np.int64)
        return self._compared(rows, found, vector, others).best(worth, most)

    def _near(self, vector: np.ndarray) -> np.ndarray:
        """Return rows that a text is near to in meaning."""
        rows = self._sealed.vectors.near(vector)
        return np.concatenate([rows, self._fresh_vectors.near(vector)])

    def _compared(
        self,
        rows: np.ndarray,
        found: Sequence[int],
        vector: np.ndarray,
        others: np.ndarray,
    ) -> Candidates:
        """Return candidates compared with their own keywords, without those that fit no more."""
        place_of = np.full(len(self.keywords), -1)
        place_of[list(found)] = np.arange(len(found))
        matched = np.zeros((len(rows), len(found)), bool)
        numbers, places = self._bids.of(rows)
        keywords = place_of[numbers]
        matched[places[keywords >= 0], keywords[keywords >= 0]] = True
        nearness = self._meanings.similarity(rows, vector)
        numbers, places = self._excluded.of(rows)
        excluded = np.zeros(len(rows), bool)
        excluded[places[place_of[numbers] >= 0]] = True
        compared = Candidates(rows, tuple(found), matched, nearness, excluded, others)
        return compared.only(matched.any(axis=1) | (nearness >= SIMILAR_ENOUGH))


def _parts(listings: Iterable[Listing], size: int) -> Iterator[list[Listing]]:
    rest = iter(listings)
    while some := list(islice(rest, size)):
        yield some


def _sealed(
    keywords: np.ndarray,
    rows: np.ndarray,
    known: int,
    vectors: Vectors,
    epoch: int,
    before: Vectors | None = None,
) -> _Sealed:
    """Return the sealed part. keywords, rows: who bids on what (n,). known: how many keywords."""
    order = np.argsort(keywords, kind="stable")
    starts = np.searchsorted(keywords[order], np.arange(known + 1))
    sorted_rows = rows[order].astype(np.int32)
    return _Sealed(starts, sorted_rows, sorted_into_lists(vectors, before), epoch)
