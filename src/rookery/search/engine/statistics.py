"""Statistics of a collection that grows: how many posts that may be found have each term.

The text engine's own counts include removed posts until it merges them away, and so would tell of
them. These are exact at every commit. They are layers, like those of a log-structured store: each
change adds a small one, and layers of similar size are merged. No layer changes once it is made, so
that a query may read them while another thread goes on.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rookery.search.engine.column_files import Extent, MappedColumns
from rookery.search.engine.columns import Columns

_ENTRY = np.dtype([("term", "<u4"), ("posts", "<i4")])
_HEAD = np.dtype([("posts", "<i8"), ("terms", "<i8"), ("ordinals", "<i8"), ("dead", "<i8")])
_AT_ONCE = 100_000  # posts that are counted in one layer


@dataclass(frozen=True)
class Statistics:
    """The counts at one commit. posts, terms: how many there are; layers: see above, largest first.

    Each layer has one entry for a term, sorted by term.
    """

    posts: int = 0
    terms: int = 0
    layers: tuple[np.ndarray, ...] = ()

    @property
    def average_terms(self) -> float:
        """Return how many terms a post has on average; 0 if there are no posts."""
        return self.terms / max(1, self.posts)

    def posts_with(self, terms: np.ndarray) -> np.ndarray:
        """Return how many posts have each term, int64 (n,), for hashes, uint32 (n,)."""
        total = np.zeros(len(terms), np.int64)
        for layer in self.layers:
            known = layer["term"]
            places = np.searchsorted(known, terms).clip(max=len(known) - 1)
            total += np.where(known[places] == terms, layer["posts"][places], 0)
        return total

    def with_posts(self, columns: Columns, ordinals: np.ndarray) -> "Statistics":
        """Return the counts with some more posts."""
        return self._changed(columns, ordinals, 1)

    def without_posts(self, columns: Columns, ordinals: np.ndarray) -> "Statistics":
        """Return the counts less some of the posts that they count."""
        return self._changed(columns, ordinals, -1)

    def _changed(self, columns: Columns, ordinals: np.ndarray, sign: int) -> "Statistics":
        if not len(ordinals):
            return self
        terms, owners = columns.terms_of(np.asarray(ordinals))
        layer = _layer(terms, owners, sign)
        posts, count = self.posts + sign * len(ordinals), self.terms + sign * len(terms)
        return Statistics(
            posts, count, _settled((*self.layers, layer)) if len(layer) else self.layers
        )


@dataclass(frozen=True)
class Counted:
    """Counts, and of how many ordinals and how many dead ones they are."""

    counts: Statistics = Statistics()
    posts: int = 0
    dead: int = 0

    def up_to(self, mapped: MappedColumns) -> "Counted":
        """Return the counts of all of some columns."""
        columns, dead = mapped.columns, mapped.dead
        counts = self.counts
        for start in range(self.posts, columns.posts, _AT_ONCE):
            counts = counts.with_posts(
                columns, np.arange(start, min(start + _AT_ONCE, columns.posts))
            )
        counts = counts.without_posts(columns, dead[self.dead :])
        return Counted(counts, columns.posts, len(dead))

    def save(self, path: Path) -> None:
        """Write the counts to a file, whole or not at all."""
        head = np.array([(self.counts.posts, self.counts.terms, self.posts, self.dead)], _HEAD)
        partial = path.with_suffix(".part")
        partial.write_bytes(head.tobytes() + _merged(self.counts.layers).tobytes())
        os.replace(partial, path)


def shared_counts(posts: int, terms: int, hashes: np.ndarray, with_term: np.ndarray) -> Statistics:
    """Return counts that were added up over shards, for the terms that a query needs.

    hashes: uint32 (n,), each once, rising. with_term: how many posts have each.
    """
    layer = np.zeros(len(hashes), _ENTRY)
    layer["term"], layer["posts"] = hashes, with_term
    return Statistics(posts, terms, (layer,) if len(layer) else ())


def load_counts(path: Path, extent: Extent) -> Counted:
    """Return the counts that a file holds; none if it is missing, cut short or beyond an extent."""
    size = path.stat().st_size - _HEAD.itemsize if path.exists() else -1
    if size < 0 or size % _ENTRY.itemsize:
        return Counted()
    head, count = np.fromfile(path, _HEAD, 1)[0], size // _ENTRY.itemsize
    posts, terms, ordinals, dead = (int(value) for value in head)
    if ordinals > extent.posts or dead > extent.dead:
        return Counted()
    if not count:
        return Counted(Statistics(posts, terms), ordinals, dead)
    layer = np.memmap(path, _ENTRY, "r", _HEAD.itemsize, (count,)).view(np.ndarray)
    return Counted(Statistics(posts, terms, (layer,)), ordinals, dead)


def _layer(terms: np.ndarray, owners: np.ndarray, sign: int) -> np.ndarray:
    """Return how many of the posts have each term, times a sign."""
    pairs = np.unique(terms.astype(np.uint64) << np.uint64(32) | owners.astype(np.uint64))
    known, counts = np.unique((pairs >> np.uint64(32)).astype(np.uint32), return_counts=True)
    layer = np.zeros(len(known), _ENTRY)
    layer["term"], layer["posts"] = known, sign * counts
    return layer


def _settled(layers: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Merge the last layers until each is at most half of the one before it."""
    while len(layers) > 1 and 2 * len(layers[-1]) > len(layers[-2]):
        layers = (*layers[:-2], _merged(layers[-2:]))
    return tuple(layer for layer in layers if len(layer))  # none is left where all were removed


def _merged(layers: tuple[np.ndarray, ...]) -> np.ndarray:
    if not layers:
        return np.zeros(0, _ENTRY)
    every = np.concatenate(layers)
    known, places = np.unique(every["term"], return_inverse=True)
    merged = np.zeros(len(known), _ENTRY)
    merged["term"] = known
    np.add.at(merged["posts"], places, every["posts"])
    return merged[merged["posts"] != 0]
