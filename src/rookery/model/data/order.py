"""The order in which documents are learned: one for all processes of a run, without end, a function
of the seed alone.

Each epoch is another shuffle of all documents. A *pool* of documents that follow each other in it
is packed at a time (`packing.py`), and its units are shuffled once more, since packing sorts by
length. The shuffle is reckoned place by place, so that nothing grows with the corpus, and a run
that goes on from a known position has nothing to repeat.
"""

from typing import NamedTuple

import numpy as np

from rookery.corpus.shards import Shards
from rookery.model.data.packing import Units, joined, pack

POOL_DOCUMENTS = 1 << 16  # enough to have many of each length, few enough to begin in a moment
# of a Feistel network; four make a shuffle of large halves (Luby and Rackoff, 1988), small ones
# want more
ROUNDS = 6


class Position(NamedTuple):
    """Where in the order a step begins: with a unit of a pool of an epoch, each counted from 0."""

    step: int = 0
    epoch: int = 0
    pool: int = 0
    unit: int = 0


BEGINNING = Position()


class Order:
    """The units of some documents, taken step by step from a position on."""

    def __init__(
        self,
        shards: Shards,
        seed: int,
        context_tokens: int,
        units_per_step: int,
        position: Position,
    ):
        self._shards, self._seed, self._context_tokens = shards, seed, context_tokens
        self._units_a_step = units_per_step
        self.position = position  # of the next step
        self._units: Units | None = None  # of the pool in which that begins

    def take(self) -> Units:
        """Those of the next step; there must be documents."""
        step, epoch, pool, unit = self.position
        parts: list[Units] = []
        while (missing := self._units_a_step - sum(map(len, parts))) > 0:
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
    """What stands at some places (int64) of a shuffle of `count` numbers; a Feistel network that
    walks its cycles.

    The network shuffles four to the power of k, less than four times as many; what falls beyond
    goes through it again.
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
    """Each bit of uint64 depends on all: the finalizer of SplitMix64 (Steele, Lea and Flood,
    2014).
    """
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
