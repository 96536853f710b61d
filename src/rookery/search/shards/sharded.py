"""An index in shards: finds, in parts that others read, what one index would find.

`ShardedIndex` is a `PostIndex`: it asks every shard the same, at once, and puts the answers
together (`engine/router.py`). A shard that does not answer is left out, and `lag` says so, until
it answers again.

Not here: what a shard answers (`served.py`), and how questions travel (`cluster.py`).
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from rookery.core.context import Clock
from rookery.core.errors import RookeryError
from rookery.core.home import Home
from rookery.posts.post import Use
from rookery.search.engine.columns import hashed
from rookery.search.engine.counting import LEAST_AUTHORS, MOST_VALUES, FieldValue, WordCount
from rookery.search.engine.nearest import NEIGHBOURS
from rookery.search.engine.router import (
    Joined,
    along,
    first_of,
    joined,
    nearest_of,
    needed_terms,
    newest_first,
    together,
)
from rookery.search.engine.scored import (
    Candidate,
    Matches,
    even,
    ranked,
    wanted_of,
    with_feedback,
)
from rookery.search.engine.statistics import Statistics, shared_counts
from rookery.search.lag import Lag, lag_of_shards
from rookery.search.query import Query
from rookery.search.ranking.features import Wanted, shared_terms
from rookery.search.ranking.ranker import Weights
from rookery.search.scope import KnownReader
from rookery.search.shards.served import About, ShardAnswer, ShardQuestion


class AskedShards(Protocol):
    """Where the shards of an index can be asked."""

    @property
    def count(self) -> int:
        """Return how many shards there are."""

    def ask(
        self, questions: Mapping[int, ShardQuestion]
    ) -> Mapping[int, ShardAnswer | RookeryError]:
        """Ask shards, by number, all at once; those that do not answer are left out."""

    def missed(self) -> frozenset[int]:
        """Return the shards that did not answer a moment ago, which pages of then lack."""


class ShardedIndex:
    """The posts of all shards that answer (a `PostIndex`), at one moment, by whoever asks."""

    def __init__(
        self,
        home: Home,
        shards: AskedShards,
        clock: Clock,
        weights: Weights,
        reader: KnownReader | None = None,
    ) -> None:
        self.home, self.clock = home, clock
        self._shards, self._weights, self._reader = shards, weights, reader
        self._generations: dict[int, str] = {}

    def as_of_now(self, reader: KnownReader | None = None) -> "ShardedIndex":
        return ShardedIndex(self.home, self._shards, self.clock, self._weights, reader)

    # What there is

    def lag(self) -> Lag | None:
        missed = self._shards.missed()
        asked = {n: ShardQuestion("lag") for n in range(self._shards.count) if n not in missed}
        answers = self._shards.ask(asked)
        lags = [one.value for one in answers.values() if isinstance(one, ShardAnswer)]
        why = next((e.what for e in answers.values() if isinstance(e, RookeryError)), None)
        return lag_of_shards(lags, self._shards.count, why)

    def state(self) -> Hashable:
        return tuple(self._ask("state").items())

    @property
    def log(self) -> int:
        return min((one.log for one in self._about.values()), default=0)

    @property
    def feed(self) -> int:
        return min((one.feed for one in self._about.values()), default=0)

    @property
    def posts(self) -> int:
        return sum(one.posts for one in self._about.values())

    @cached_property
    def analyses(self) -> frozenset[str]:
        return frozenset().union(*(one.analyses for one in self._about.values()))

    @cached_property
    def _about(self) -> dict[int, About]:
        return self._ask("about")

    # What is found

    def with_all(self, query: Query, depth: int) -> list[Candidate]:
        found = self._proposed("all_words", query, depth)
        return self._ranked(self._best(found, query, depth), query, self._weights)

    def with_some(self, query: Query, depth: int, is_learned: bool = True) -> list[Candidate]:
        found = self._best(self._proposed("some_words", query, depth), query, depth)
        if found is None:
            return []
        terms, wanted = query.groups(self.analyses), self._wanted(query)
        places = np.arange(found.columns.posts)
        best, gains = shared_terms(wanted, found.columns, places, found.statistics)
        expanded = with_feedback(terms, gains, self._texts(found.ordinals[best]))
        more = self._proposed("weighted_words", query, expanded, depth)
        near = self._proposed("near", query)
        parts = [found]
        if more is not None:
            parts.append(first_of(self._counted(more, query, expanded), expanded, depth))
        if near is not None:
            parts.append(nearest_of(near, NEIGHBOURS))
        every = self._counted(together(parts), query)
        return self._ranked(every, query, self._weights if is_learned else None)[:depth]

    def newest(
        self, query: Query, future_from: int, depth: int, before: int | None = None
    ) -> list[Candidate]:
        found = self._found("newest", query, future_from, depth, before)
        return newest_first(found, future_from, depth)

    def with_value(self, field: str, values: Sequence[str], most: int) -> list[Candidate]:
        return _by_time(self._found("with_value", field, values, most))[:most]

    def with_words_of(self, same: str, most: int) -> list[Candidate]:
        return self._found("with_words_of", same, most)[:most]

    def among_ids(self, query: Query, ids: Sequence[str]) -> list[Candidate]:
        return _by_time(self._found("among_ids", query, ids))

    def rows(self, found: Sequence[Candidate], use: Use = "search") -> list[dict[str, Any] | None]:
        by_shard = self._by_shard([candidate.ordinal for candidate in found])
        told = self._ask_some({n: ("rows", (own, use)) for n, own in by_shard.items()})
        rows = {
            local * self._shards.count + n: row
            for n, of_shard in told.items()
            for local, row in zip(by_shard[n], of_shard, strict=True)
        }
        return [rows.get(candidate.ordinal) for candidate in found]

    # What is counted: an author's posts are in one shard, so that authors add up

    def posts_with(self, terms: Sequence[str]) -> np.ndarray:
        asked = np.unique(hashed(terms))
        return self._counts(asked).posts_with(hashed(terms))

    def values(
        self,
        field: str,
        include: str | Sequence[str] = ".*",
        between: tuple[int, int] | None = None,
        least_authors: int = LEAST_AUTHORS,
        most: int = MOST_VALUES,
    ) -> list[FieldValue]:
        posts: Counter[str] = Counter()
        authors: Counter[str] = Counter()
        for of_shard in self._ask("values", field, include, between, 1, MOST_VALUES).values():
            posts.update({value.text: value.posts for value in of_shard})
            authors.update({value.text: value.authors for value in of_shard})
        order = sorted(posts, key=lambda text: (-posts[text], text))
        found = [FieldValue(text, posts[text], authors[text]) for text in order]
        return [value for value in found if value.authors >= least_authors][:most]

    def count_word(self, word: str) -> WordCount:
        return _added(self._ask("count_word", word).values())

    def count_spelling(self, spelling: str) -> WordCount:
        return _added(self._ask("count_spelling", spelling).values())

    def spelled_nearly(self, word: str, wrong: int, most: int) -> Counter[str]:
        every = self._ask("spelled_nearly", word, wrong, most).values()
        return sum(every, Counter[str]())

    # How shards are asked

    def _ask(self, name: str, *arguments: Any) -> dict[int, Any]:
        """Return what each shard that answers told."""
        return self._ask_some({n: (name, arguments) for n in range(self._shards.count)})

    def _ask_some(self, questions: Mapping[int, tuple[str, tuple[Any, ...]]]) -> dict[int, Any]:
        """Return what some shards told; raise their error if all that answer tell of one."""
        asked = {
            n: ShardQuestion(name, arguments, self._reader, self._generations.get(n, ""))
            for n, (name, arguments) in questions.items()
        }
        answers = self._shards.ask(asked)
        told = {n: one for n, one in sorted(answers.items()) if isinstance(one, ShardAnswer)}
        errors = [one for one in answers.values() if isinstance(one, RookeryError)]
        if errors and not told:
            raise errors[0]
        # A shard that no longer has the posts that were found there is left out of this query.
        told = {
            n: one
            for n, one in told.items()
            if self._generations.setdefault(n, one.generation) == one.generation
        }
        return {n: one.value for n, one in told.items()}

    def _by_shard(self, ordinals: Sequence[int]) -> dict[int, list[int]]:
        """Return the ordinals in each shard of posts with global ordinals."""
        found: dict[int, list[int]] = {}
        for ordinal in ordinals:
            local, shard = divmod(int(ordinal), self._shards.count)
            found.setdefault(shard, []).append(local)
        return found

    def _found(self, name: str, *arguments: Any) -> list[Candidate]:
        """Return what the shards found, each post by its global ordinal."""
        return [
            replace(one, ordinal=one.ordinal * self._shards.count + n)
            for n, found in self._ask(name, *arguments).items()
            for one in found
        ]

    def _proposed(self, name: str, query: Query, *arguments: Any) -> Joined | None:
        """Return what the shards propose, without counts; None if no shard answers."""
        proposals = self._ask(name, query, *arguments)
        return joined(proposals, self._shards.count) if proposals else None

    def _texts(self, ordinals: np.ndarray) -> list[dict[str, Any]]:
        by_shard = self._by_shard(ordinals.tolist())
        told = self._ask_some({n: ("texts", (own,)) for n, own in by_shard.items()})
        return [post for posts in told.values() for post in posts]

    def _counts(self, terms: np.ndarray) -> Statistics:
        """Return the counts of all shards, for terms as hashes, each once, rising."""
        told = list(self._ask("counts", terms).values())
        with_term = np.sum([np.zeros(len(terms), np.int64), *(n for _, _, n in told)], axis=0)
        posts, all_terms = (sum(one[place] for one in told) for place in (0, 1))
        return shared_counts(posts, all_terms, terms, with_term)

    def _counted(
        self, found: Joined, query: Query, others: Mapping[str, float] | None = None
    ) -> Joined:
        """Return posts with the counts of all terms that ranking needs, and of some others."""
        terms = needed_terms(found.columns, self._wanted(query), others or {})
        return replace(found, statistics=self._counts(terms))

    def _best(self, found: Joined | None, query: Query, depth: int) -> Joined | None:
        """Return what one index would have proposed for a query's own terms, with counts."""
        if found is None:
            return None
        return first_of(self._counted(found, query), even(query.groups(self.analyses)), depth)

    def _wanted(self, query: Query) -> Wanted:
        weight = max((one.vector_weight for one in self._about.values()), default=0.0)
        return along(wanted_of(self.analyses, query, None), weight)

    def _ranked(
        self, found: Joined | None, query: Query, weights: Weights | None
    ) -> list[Candidate]:
        if found is None:
            return []
        every = Matches(np.arange(found.columns.posts), [None] * found.columns.posts)
        order = ranked(found, self._wanted(query), every, weights)
        return [replace(one, ordinal=int(found.ordinals[one.ordinal])) for one in order]


def _by_time(found: Sequence[Candidate]) -> list[Candidate]:
    return sorted(found, key=lambda one: (-one.moment, -one.ordinal))


def _added(counts: Iterable[WordCount]) -> WordCount:
    every = list(counts)
    authors = sum(one.authors for one in every)
    return WordCount(sum(one.posts for one in every), min(LEAST_AUTHORS, authors))
