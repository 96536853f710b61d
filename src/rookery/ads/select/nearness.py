"""Nearness: which groups a text is close to in meaning, by vectors.

A group has a vector for each text of its meaning. A text fits if it is nearer to one of them than
the keywords of others usually are, by `SIMILAR_ENOUGH` standard deviations: this scale needs no
tuning, as it is the same for every embedder. With fewer than `LEAST_BACKGROUND` keywords of others
there is no such scale, and nothing fits by meaning.

Many vectors are sorted into lists around centres, and a text is compared with the lists that are
nearest to it (an inverted file; Jegou, Douze and Schmid 2011). Few are all compared.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from rookery.ads.select.columns import NumberLists
from rookery.ads.terms.objects import Listing
from rookery.core.protocols import Embedder

SIMILAR_ENOUGH = 3.0
LEAST_BACKGROUND = 12
MOST_BACKGROUND = 256
"""Keywords of others that the scale is measured on."""
MOST_NEAR = 64
FEW = 2_000
"""Vectors that are all compared, and measured anew with each change."""
_TOGETHER = 1_024
_LISTS_READ = 6


@dataclass(frozen=True)
class Vectors:
    """Vectors of rows, each on the scale of its own similarity.

    scaled: float32 (n, dimensions + 1): a vector by the spread of its similarity to the keywords of
    others, and the mean of that by the spread, so that one product with a text's vector and -1
    tells how similar they are in standard deviations. rows: int32 (n,). centres: float32 (lists,
    dimensions), or None where all are compared; starts: where each list begins among the vectors,
    which are sorted by list.
    """

    scaled: np.ndarray
    rows: np.ndarray
    centres: np.ndarray | None = None
    starts: np.ndarray | None = None

    def near(self, vector: np.ndarray) -> np.ndarray:
        """Return the rows that a text fits by meaning, at most `MOST_NEAR`; int32 (n,)."""
        asked = np.append(vector, np.float32(-1))
        if self.centres is None or self.starts is None:
            return _fitting(self.rows, self.scaled @ asked)
        scores = self.centres @ vector
        lists = np.argpartition(scores, -_LISTS_READ)[-_LISTS_READ:]
        bounds = zip(self.starts[lists].tolist(), self.starts[lists + 1].tolist(), strict=True)
        parts = [slice(start, end) for start, end in bounds]
        found = np.concatenate([self.scaled[part] @ asked for part in parts])
        return _fitting(np.concatenate([self.rows[part] for part in parts]), found)


def _fitting(rows: np.ndarray, similarity: np.ndarray) -> np.ndarray:
    fits = np.flatnonzero(similarity >= SIMILAR_ENOUGH)
    if len(fits) > MOST_NEAR:
        fits = fits[np.argpartition(-similarity[fits], MOST_NEAR)[:MOST_NEAR]]
    return rows[fits]


def scaled(vectors: np.ndarray, background: np.ndarray, is_own: np.ndarray) -> np.ndarray:
    """Return vectors on the scale of their similarity to others' keywords, as `Vectors` has them.

    background: vectors of keywords, (b, dimensions). is_own: which of them are a vector's own, bool
    (n, b).
    """
    similarity = vectors @ background.T
    others = ~is_own
    count = others.sum(axis=1)
    mean = np.where(others, similarity, 0).sum(axis=1) / np.maximum(count, 1)
    apart = np.where(others, similarity - mean[:, None], 0)
    spread = np.sqrt((apart**2).sum(axis=1) / np.maximum(count, 1))
    has_scale = (count >= LEAST_BACKGROUND) & (spread > 0)
    by_spread = np.where(has_scale, 1 / np.where(has_scale, spread, 1), 0)
    whole = np.column_stack([vectors * by_spread[:, None], mean * by_spread])
    return whole.astype(np.float32)


def sorted_into_lists(found: Vectors, before: Vectors | None = None) -> Vectors:
    """Return the same vectors sorted into lists, if there are many.

    before: vectors whose centres serve again, unless there are twice as many by now.
    """
    if len(found.rows) <= FEW:
        return found
    centres = None if before is None else before.centres
    if before is None or centres is None or 2 * len(before.rows) < len(found.rows):
        centres = _centres(found.scaled[:, :-1])
    of_list = nearest_centres(found.scaled[:, :-1], centres)
    order = np.argsort(of_list, kind="stable")
    starts = np.searchsorted(of_list[order], np.arange(len(centres) + 1))
    return Vectors(found.scaled[order], found.rows[order], centres, starts)


def _centres(vectors: np.ndarray) -> np.ndarray:
    """Return the centres of lists, float32 (lists, dimensions), from a sample of vectors."""
    from sklearn.cluster import MiniBatchKMeans  # a second to load: only who has many pays

    lists = int(2 * np.sqrt(len(vectors)))
    means = MiniBatchKMeans(lists, random_state=0, n_init=1, max_iter=20, batch_size=8_192)
    means.fit(vectors[:: max(1, len(vectors) // (40 * lists))])
    return means.cluster_centers_.astype(np.float32)


def nearest_centres(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the list of each vector, by the greatest product; int64 (n,)."""
    parts = range(0, len(vectors), 4_096)
    return np.concatenate([(vectors[n : n + 4_096] @ centres.T).argmax(axis=1) for n in parts])


_DEAD = -1


class Meanings:
    """The meanings of all rows, as vectors, with the scale of each.

    A row whose meaning changes gets new vectors; the old ones are dead from then on.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._vectors = np.zeros((_TOGETHER, embedder.dimensions), np.float32)
        self._scaled = np.zeros((_TOGETHER, embedder.dimensions + 1), np.float32)
        self._rows = np.full(_TOGETHER, _DEAD, np.int32)
        self._count = 0
        self._of_row = NumberLists()
        self._background = np.zeros((0, embedder.dimensions), np.float32)

    @property
    def none(self) -> Vectors:
        """Return no vectors."""
        return self._chosen(np.zeros(0, np.int64))

    def put(self, texts: Sequence[tuple[int, Sequence[str]]]) -> None:
        """Set the texts of the meaning of rows."""
        if not texts:
            return
        old, _ = self._of_row.of(np.array([row for row, _ in texts]))
        self._rows[old] = _DEAD
        vectors = self._embedder.embed([text for _, some in texts for text in some])
        first, end = self._count, self._count + len(vectors)
        while end > len(self._rows):
            self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
            self._scaled = np.concatenate([self._scaled, np.zeros_like(self._scaled)])
            self._rows = np.concatenate([self._rows, np.full(len(self._rows), _DEAD, np.int32)])
        self._vectors[first:end], self._count = vectors, end
        self._scaled[first:end] = scaled(
            vectors, self._background, np.zeros((len(vectors), len(self._background)), bool)
        )
        for row, some in texts:
            self._rows[first : first + len(some)] = row
            self._of_row.put(row, range(first, first + len(some)))
            first += len(some)

    def measure(self, keywords: Sequence[str], bids: NumberLists) -> None:
        """Measure the scale of all vectors anew, on a sample of keywords."""
        random, most = np.random.default_rng(0), min(MOST_BACKGROUND, len(keywords))
        sample = np.sort(random.permutation(len(keywords))[:most])
        self._background = self._embedder.embed([keywords[n] for n in sample.tolist()])
        place_of = np.full(len(keywords), -1)
        place_of[sample] = np.arange(most)
        alive = np.flatnonzero(self._rows != _DEAD)
        for start in range(0, len(alive), _TOGETHER):
            some = alive[start : start + _TOGETHER]
            is_own = np.zeros((len(some), most), bool)
            numbers, places = bids.of(self._rows[some])
            sampled = place_of[numbers]
            is_own[places[sampled >= 0], sampled[sampled >= 0]] = True
            self._scaled[some] = scaled(self._vectors[some], self._background, is_own)

    def all(self) -> Vectors:
        """Return all vectors that live."""
        return self._chosen(np.flatnonzero(self._rows != _DEAD))

    def of_rows(self, rows: Collection[int]) -> Vectors:
        """Return the vectors of some rows."""
        return self._chosen(self._of_row.of(np.array(list(rows), np.int64))[0])

    def _chosen(self, places: np.ndarray) -> Vectors:
        return Vectors(self._scaled[places], self._rows[places])

    def similarity(self, rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
        """Return how similar a text is to each row at its nearest, float32 (n,)."""
        places, of = self._of_row.of(rows)
        similarity = self._scaled[places] @ np.append(vector, np.float32(-1))
        if len(places) == len(rows):  # one meaning each
            return similarity
        found = np.full(len(rows), -np.inf, np.float32)
        np.maximum.at(found, of, similarity)
        return found


def meaning_of(listing: Listing) -> list[str]:
    """Return the texts of what a group means: what it names, or the words of its first ad."""
    target = listing.group.targeting
    if target.meaning:
        return list(target.meaning)
    keywords = " ".join(word.text for word in target.keywords)
    words = [f"{one.version.title}. {one.version.body}" for one in listing.versions[:1]]
    return [" ".join([*words, keywords])]
