"""The search index of a home, opened: what can be asked of its posts at one moment.

`PostIndex` is all that the rest of search knows of an index. `SearchIndex` is one that this process
reads; `shards/sharded.py` has the same for an index that is split into shards.

Not here: how an index is built (`build.py`), and what is asked of it (`search.py`, `suggest.py`,
`answers/answer.py`).
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from rookery.core.context import Clock, SystemClock
from rookery.core.errors import DataError, UsageError
from rookery.core.home import Home, Policy
from rookery.core.protocols import Embedder
from rookery.posts.post import Use
from rookery.search.engine import counting, retrieve
from rookery.search.engine.columns import hashed
from rookery.search.engine.counting import LEAST_AUTHORS, MOST_VALUES, FieldValue, WordCount
from rookery.search.engine.generation import FORMAT, REBUILD, Generation, change_of, in_force
from rookery.search.engine.reader import IndexReader, View
from rookery.search.engine.scored import Candidate
from rookery.search.lag import Lag, LagWatch
from rookery.search.query import Query
from rookery.search.ranking.ranker import Weights, read_weights, shipped
from rookery.search.scope import KnownReader, scope_of
from rookery.search.visible import CurrentGate, reasons_against


class PostIndex(Protocol):
    """The posts of a home that may be found at one moment, by whoever asks."""

    @property
    def home(self) -> Home: ...

    @property
    def clock(self) -> Clock: ...

    def as_of_now(self, reader: KnownReader | None = None) -> "PostIndex":
        """Return the newest commit, as if every post that is hidden by now had never been in it.

        reader: whoever asks, who finds no post out of their scope; None for a stranger.
        """

    def lag(self) -> Lag | None:
        """Return that the index lacks posts by now, and why; None if it does not."""

    def state(self) -> Hashable:
        """Return what differs once a post has been hidden or may be seen again."""

    @property
    def log(self) -> int:
        """Return the number of the last event of the live log that the index has followed."""

    @property
    def feed(self) -> int:
        """Return the number of the last post of the feed that was taken in."""

    @property
    def posts(self) -> int:
        """Return how many posts may be found."""

    @property
    def analyses(self) -> frozenset[str]:
        """Return the analyses by which there are posts (`analysis.analysis_code`)."""

    def with_all(self, query: Query, depth: int) -> list[Candidate]:
        """Return the best `depth` posts that match all of a query, best first."""

    def with_some(self, query: Query, depth: int, is_learned: bool = True) -> list[Candidate]:
        """Return the best `depth` posts with some of the words or near in meaning, best first.

        is_learned: by the ranker; else by words with feedback and vectors alone.
        """

    def newest(
        self, query: Query, future_from: int, depth: int, before: int | None = None
    ) -> list[Candidate]:
        """Return the newest `depth` posts that match all of a query (`retrieve.by_time`)."""

    def with_value(self, field: str, values: Sequence[str], most: int) -> list[Candidate]:
        """Return the newest posts that have one of some values in a field, without a score."""

    def with_words_of(self, same: str, most: int) -> list[Candidate]:
        """Return the last posts to arrive that have the same words (`Hit.same`), no score."""

    def among_ids(self, query: Query, ids: Sequence[str]) -> list[Candidate]:
        """Return those of some posts that match all of a query, newest first, without a score."""

    def rows(self, found: Sequence[Candidate], use: Use = "search") -> list[dict[str, Any] | None]:
        """Return each candidate as stored, and `same`; None for one that may not be shown now."""

    def posts_with(self, terms: Sequence[str]) -> np.ndarray:
        """Return how many posts that may be found have each term, int64 (n,)."""

    def values(
        self,
        field: str,
        include: str | Sequence[str] = ".*",
        between: tuple[int, int] | None = None,
        least_authors: int = LEAST_AUTHORS,
        most: int = MOST_VALUES,
    ) -> list[FieldValue]:
        """Return values of a field, the most frequent first (`counting.values`)."""

    def count_word(self, word: str) -> WordCount:
        """Count the posts that a search for a word finds."""

    def count_spelling(self, spelling: str) -> WordCount:
        """Count the posts that have a word in this spelling, but for its accents."""

    def spelled_nearly(self, word: str, wrong: int, most: int) -> Counter[str]:
        """Return words that are written nearly like one (`counting.spelled_nearly`)."""


@dataclass(frozen=True)
class SearchIndex:
    """An index that this process reads, with all that a query needs (a `PostIndex`)."""

    home: Home
    view: View
    embedder: Embedder
    clock: Clock
    generation: Generation = field(compare=False)
    weights: Weights = field(compare=False, repr=False)
    opened: "OpenIndex" = field(compare=False, repr=False)
    country: str | None = None  # of whoever asks

    def as_of_now(self, reader: KnownReader | None = None) -> "SearchIndex":
        if reader is None:
            return self.opened.now(self.home)
        return self.opened.now(self.home, reader.country).scoped(reader)

    def scoped(self, reader: KnownReader) -> "SearchIndex":
        """Return the same posts less those out of a reader's scope."""
        view = self.view.within(scope_of(reader))
        return replace(self, view=view, country=reader.country)

    def lag(self) -> Lag | None:
        return self.opened.lag()

    def state(self) -> Hashable:
        return self.view.cursor.log, self.view.withheld.ordinals

    @property
    def log(self) -> int:
        return self.view.cursor.log

    @property
    def feed(self) -> int:
        return self.view.cursor.feed

    @property
    def posts(self) -> int:
        return self.view.posts

    @property
    def analyses(self) -> frozenset[str]:
        return self.view.analyses

    def with_all(self, query: Query, depth: int) -> list[Candidate]:
        return retrieve.by_all_words(self.view, self.embedder, query, depth, self.weights)

    def with_some(self, query: Query, depth: int, is_learned: bool = True) -> list[Candidate]:
        weights = self.weights if is_learned else None
        return retrieve.by_some_words(self.view, self.embedder, query, depth, weights)

    def newest(
        self, query: Query, future_from: int, depth: int, before: int | None = None
    ) -> list[Candidate]:
        return retrieve.by_time(self.view, query, future_from, depth, before)

    def with_value(self, field: str, values: Sequence[str], most: int) -> list[Candidate]:
        return retrieve.with_value(self.view, field, values, most)

    def with_words_of(self, same: str, most: int) -> list[Candidate]:
        return retrieve.with_words_of(self.view, int(same, 16), most)

    def among_ids(self, query: Query, ids: Sequence[str]) -> list[Candidate]:
        return retrieve.among_ids(self.view, query, ids)

    def rows(self, found: Sequence[Candidate], use: Use = "search") -> list[dict[str, Any] | None]:
        rows = self.view.posts_at([candidate.address for candidate in found])
        # what retrieval found may be searched; the other uses, and a log that moved on, are asked
        reasons: list[str | None] = [None] * len(rows)
        if use != "search" or not self.opened.stands(self):
            reasons = reasons_against(self.home, rows, use, self.log, self.country)
        same = self.view.columns.same[[candidate.ordinal for candidate in found]].tolist()
        return [
            row | {"same": f"{key:016x}"} if reason is None else None
            for row, reason, key in zip(rows, reasons, same, strict=True)
        ]

    def posts_with(self, terms: Sequence[str]) -> np.ndarray:
        return self.view.statistics.posts_with(hashed(terms))

    def values(
        self,
        field: str,
        include: str | Sequence[str] = ".*",
        between: tuple[int, int] | None = None,
        least_authors: int = LEAST_AUTHORS,
        most: int = MOST_VALUES,
    ) -> list[FieldValue]:
        return counting.values(self.view, field, include, between, least_authors, most)

    def count_word(self, word: str) -> WordCount:
        return counting.count_word(self.view, word)

    def count_spelling(self, spelling: str) -> WordCount:
        return counting.count_spelling(self.view, spelling)

    def spelled_nearly(self, word: str, wrong: int, most: int) -> Counter[str]:
        return counting.spelled_nearly(self.view, word, wrong, most)


class OpenIndex:
    """The index of a home, whichever generation is in force; several threads may ask it."""

    def __init__(self, home: Home, embedder: Callable[[], Embedder], clock: Clock):
        """Open the index in force.

        Raises `UsageError` if there is none or it was made with another model.
        """
        self._home, self._new_embedder, self._clock = home, embedder, clock
        self._embedder, self._weights = embedder(), weights_of(home)
        self._gates: dict[Policy, CurrentGate] = {}
        self._watch = LagWatch(home, clock)
        self._named: tuple[object, Generation | None] = None, None
        self._open(_need_generation(home))

    def _open(self, generation: Generation) -> None:
        if generation.format != FORMAT:
            raise UsageError(
                "the search index was made by another release",
                where=self._home.search,
                hint=REBUILD,
            )
        if generation.embedder != self._embedder.digest:
            self._embedder = self._new_embedder()
        if generation.embedder != self._embedder.digest:
            raise UsageError(
                "the search index was made with another model",
                where=self._home.search,
                hint="Run `rookery search index` again",
            )
        self._reader = IndexReader(generation.folder(self._home), generation.dimensions)
        self._generation, self._gates = generation, {}

    def _gate(self, policy: Policy) -> CurrentGate:
        if policy not in self._gates:
            self._gates[policy] = CurrentGate(self._generation.policy)
        return self._gates[policy]

    def now(self, home: Home, country: str | None = None) -> SearchIndex:
        """Return the index at this moment, under the settings of a home, for one in a country."""
        with contextlib.suppress(UsageError, DataError):  # what is open goes on
            generation = self._in_force()
            if generation is not None and generation != self._generation:
                self._open(generation)
        view = self._gate(home.settings.rights.policy).current(home, self._reader.view(), country)
        generation = self._generation
        return SearchIndex(home, view, self._embedder, self._clock, generation, self._weights, self)

    def _in_force(self) -> Generation | None:
        """Return the generation in force; what names it is read when it has changed."""
        written = change_of(self._home)
        if written != self._named[0]:
            self._named = written, in_force(self._home)
        return self._named[1]

    def lag(self) -> Lag | None:
        """Return that the index lacks what has arrived, or None; looked at once a second."""
        return self._watch.lag(self._reader.view().cursor)

    def stands(self, index: SearchIndex) -> bool:
        """Return whether nothing that hides a post was written since an index was returned."""
        return self._gate(index.home.settings.rights.policy).stands(index.view)


def open_index(
    home: Home, embedder: Embedder | Callable[[], Embedder], clock: Clock | None = None
) -> SearchIndex:
    """Open the index in force.

    embedder: that of the index, or what returns the home's newest one, which a server asks again
    when another generation takes over. Raises `UsageError` if there is none or it was made with
    another model.
    """
    make = embedder if callable(embedder) else lambda: embedder
    return OpenIndex(home, make, clock or SystemClock()).now(home)


def weights_of(home: Home) -> Weights:
    """Return the weights by which a home ranks; raise `UsageError` if their file is absent."""
    named = home.settings.search.weights
    return read_weights(home.path / named) if named else shipped()


def _need_generation(home: Home) -> Generation:
    generation = in_force(home)
    if generation is None:
        raise UsageError(
            "there is no search index yet", where=home.path, hint="Run `rookery search index` first"
        )
    return generation
