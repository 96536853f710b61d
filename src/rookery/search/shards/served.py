"""A served shard: one part of a split index, as whoever puts the parts together asks it.

Each question names what is asked and who asks, and what comes back can travel to another process.
An answer tells of which generation it is, since ordinals are a generation's own: whoever asks on
about posts that were found names it, and is answered from the same one, also where another has
taken over meanwhile.

Not here: how the answers of all shards are put together (`sharded.py`), and where shards run
(`cluster.py`).
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rookery.core.context import Clock, SystemClock
from rookery.core.errors import RookeryError
from rookery.core.home import Home
from rookery.core.protocols import Embedder
from rookery.posts.post import Use
from rookery.search.engine.retrieve import near_in_meaning, with_all_words, with_some_words
from rookery.search.engine.router import Proposal, proposal
from rookery.search.engine.scored import Candidate, Matches, even
from rookery.search.index import SearchIndex, open_index
from rookery.search.query import Query
from rookery.search.scope import KnownReader

_FORMER = 2  # generations that questions are still answered from


@dataclass(frozen=True)
class ShardQuestion:
    """A question to a shard.

    name: which of `ANSWERS`; arguments: its own. reader: whoever asks. generation: of which the
    posts are that it is about; empty for the one in force.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    reader: KnownReader | None = None
    generation: str = ""


@dataclass(frozen=True)
class ShardAnswer:
    """What a shard answered, and the generation that it answered from."""

    generation: str
    value: Any


@dataclass(frozen=True)
class About:
    """What a shard is: how many posts may be found, by which analyses, and how far it has read.

    terms: of all its posts. vector_weight: of its embedder.
    """

    posts: int
    terms: int
    analyses: frozenset[str]
    log: int
    feed: int
    vector_weight: float


class ServedShard:
    """The shard of a home, open for questions; several threads may ask it."""

    def __init__(
        self, home: Home, embedder: Callable[[], Embedder], clock: Clock | None = None
    ) -> None:
        self._home, self._embedder, self._clock = home, embedder, clock or SystemClock()
        self._lock = threading.Lock()
        self._index: SearchIndex | None = None
        self._former: dict[str, SearchIndex] = {}

    def ask(self, asked: ShardQuestion) -> ShardAnswer | RookeryError:
        """Answer a question; an error that concerns the user is an answer, too."""
        try:
            index = self._of_generation(asked)
            return ShardAnswer(index.generation.name, ANSWERS[asked.name](index, *asked.arguments))
        except RookeryError as error:
            return error

    def _of_generation(self, asked: ShardQuestion) -> SearchIndex:
        with self._lock:
            if self._index is None:
                self._index = open_index(self._home, self._embedder, self._clock)
        now = self._index.as_of_now(asked.reader)
        with self._lock:
            self._former[now.generation.name] = self._index.as_of_now()
            while len(self._former) > _FORMER:
                del self._former[next(iter(self._former))]
            former = self._former.get(asked.generation, now)
        if asked.generation in ("", now.generation.name):
            return now
        return former if asked.reader is None else former.scoped(asked.reader)


# What can be asked
# -------------------------------------------------------------------------------------------------


def _about(index: SearchIndex) -> About:
    counts = index.view.statistics
    return About(
        counts.posts, counts.terms, index.analyses, index.log, index.feed, index.embedder.weight
    )


def _told(index: SearchIndex, query: Query, found: Matches) -> Proposal:
    return proposal(index.view, found, index.embedder.embed([query.text])[0])


def _all_words(index: SearchIndex, query: Query, depth: int) -> Proposal:
    return _told(index, query, with_all_words(index.view, query, depth))


def _some_words(index: SearchIndex, query: Query, depth: int) -> Proposal:
    weights = even(query.groups(index.analyses))
    return _told(index, query, with_some_words(index.view, query, weights, depth))


def _weighted_words(
    index: SearchIndex, query: Query, weights: Mapping[str, float], depth: int
) -> Proposal:
    return _told(index, query, with_some_words(index.view, query, weights, depth))


def _near(index: SearchIndex, query: Query) -> Proposal:
    vector = index.embedder.embed([query.text])[0]
    return proposal(index.view, near_in_meaning(index.view, query, vector), vector)


def _counts(index: SearchIndex, terms: np.ndarray) -> tuple[int, int, np.ndarray]:
    counts = index.view.statistics
    return counts.posts, counts.terms, counts.posts_with(terms)


def _texts(index: SearchIndex, ordinals: Sequence[int]) -> list[dict[str, Any]]:
    addresses = index.view.addresses_of(ordinals)
    return index.view.posts_at([address for address in addresses if address is not None])


def _rows(index: SearchIndex, ordinals: Sequence[int], use: Use) -> list[dict[str, Any] | None]:
    addresses = index.view.addresses_of(ordinals)
    found = [
        Candidate(n, 0.0, address)
        for n, address in zip(ordinals, addresses, strict=True)
        if address is not None
    ]
    rows = dict(zip((c.ordinal for c in found), index.rows(found, use), strict=True))
    return [rows.get(n) for n in ordinals]


def _found(name: str) -> Callable[..., list[Candidate]]:
    """Return what finds posts by a method of an index, without addresses, which cannot travel."""

    def find(index: SearchIndex, *arguments: Any) -> list[Candidate]:
        return [replace(one, address=None) for one in getattr(index, name)(*arguments)]

    return find


def _method(name: str) -> Callable[..., Any]:
    return lambda index, *arguments: getattr(index, name)(*arguments)


ANSWERS: Mapping[str, Callable[..., Any]] = {
    "about": _about,
    "all_words": _all_words,
    "some_words": _some_words,
    "weighted_words": _weighted_words,
    "near": _near,
    "counts": _counts,
    "texts": _texts,
    "rows": _rows,
    **{name: _found(name) for name in ("newest", "with_value", "with_words_of", "among_ids")},
    **{
        name: _method(name)
        for name in ("state", "lag", "values", "count_word", "count_spelling", "spelled_nearly")
    },
}
"""What a shard answers, by name: functions of its index and the arguments of a question."""
