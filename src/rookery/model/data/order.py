"""The order in which documents are learned: endless, and a function of the seed alone.

All processes of a run have the same order. Each epoch is another shuffle of all documents. A
*pool*, a stretch of documents in that shuffle, is packed at a time (`packing.py`), and its units
are shuffled once more, since packing sorts by length. The shuffle is computed place by place, so
that no memory grows with the corpus, and a run that continues from a known position repeats
nothing. The tokens of the documents are read in `batches.py`.
"""

from typing import NamedTuple

import numpy as np

from rookery.corpus.shards import Shards
from rookery.model.data.packing import Units, joined, pack

POOL_DOCUMENTS = 1 << 16  # enough to have many of each length, few enough to begin in a moment
# rounds of the Feistel network: four give a pseudorandom permutation if the halves are large (Luby
# and Rackoff, 1988); small halves need more
ROUNDS = 6


class Position(NamedTuple):
    """The position in the order at which a step begins: a unit of a pool of an epoch, from 0."""

    step: int = 0
    epoch: int = 0
    pool: int = 0
    unit: int = 0


BEGINNING = Position()


class Order:
    """The sequence of all units of some shards, taken step by step from a position on."""

    def __init__(
        self,
        shards: Shards,
        seed: int,
        context_tokens: int,
        units_per_step: int,
        position: Position,
    ):
        self._shards, self._seed, self._context_tokens = shards, seed, context_tokens
        self._units_per_step = units_per_step
        self.position = position  # of the next step
        self._units: Units | None = None  # of the pool in which that begins

    def take(self) -> Units:
        """Return the units of the next step; the shards must not be empty."""
        step, epoch, pool, unit = self.position
        parts: list[Units] = []
        while (missing := self._units_per_step - sum(map(len, parts))) > 0:
            if self._units is None:
                self._units = self._pool(epoch, pool)
            parts.append(self._units[unit : unit + missing])
            unit += missing
            if unit >= len(self._units):
                last = (pool + 1) * POOL_DOCUMENTS >= self._shards.documents
                epoch, pool, unit = (epoch + 1, 0, 0) if last else (epoch, pool + 1, 0)
                self._units = None
        self.position = Position(step + 1, epoch, pool, unit)
        return joined(parts)

    def _pool(self, epoch: int, pool: int) -> Units:
        documents = self._shards.documents
        places = np.arange(pool * POOL_DOCUMENTS, min((pool + 1) * POOL_DOCUMENTS, documents))
        chosen = shuffled(places, documents, (self._seed, epoch))
        units = pack(
            chosen,
            self._shards.offsets[chosen + 1] - self._shards.offsets[chosen],
            self._context_tokens,
        )
        return units[np.random.default_rng([self._seed, epoch, pool]).permutation(len(units))]


def shuffled(places: np.ndarray, count: int, seed: tuple[int, ...]) -> np.ndarray:
    """Return the numbers at some places (int64) of a shuffle of the numbers below `count`.

    A Feistel network permutes the numbers below a power of four, which is less than four times
    `count` (4 for a single number); a result of `count` or more passes through the network again
    (cycle walking).
    """
    keys = np.random.default_rng(seed).integers(1 << 63, size=ROUNDS, dtype=np.uint64)
    half_bits = np.uint64(max(1, ((count - 1).bit_length() + 1) // 2))
    mask = (np.uint64(1) << half_bits) - np.uint64(1)
    found, beyond = places.astype(np.uint64), np.arange(len(places))
    while len(beyond):
        left, right = found[beyond] >> half_bits, found[beyond] & mask
        for key in keys:
            left, right = right, left ^ (_mixed(right ^ key) & mask)
        found[beyond] = (left << half_bits) | right
        beyond = beyond[found[beyond] >= count]
    return found.astype(np.int64)


def _mixed(x: np.ndarray) -> np.ndarray:
    """Return a hash of uint64: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).

    Each bit of the result depends on all bits of x.
    """
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
