"""The router's arithmetic: what shards found, put together as one index would have found it.

Each shard tells its candidates with their columns, and how many posts and terms it has; then how
many of its posts have each term that ranking needs. Ranking is the same pure function over the
joined columns and the added counts (`scored.py`), so that order and scores are those of one index.

Pure. Not here: which posts a shard has (`shard.py`), and who asks the shards (`shards/sharded.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from rookery.search.engine.columns import Columns, hashed
from rookery.search.engine.reader import View
from rookery.search.engine.scored import Candidate, Matches
from rookery.search.engine.statistics import Statistics
from rookery.search.ranking.features import Wanted
from rookery.search.ranking.scores import idf

_ENGINE_K1, _ENGINE_B = 1.2, 0.75  # of the text engine, which ranks what a shard proposes


@dataclass(frozen=True)
class Proposal:
    """The posts that a shard found for a query.

    ordinals: int64 (n,), of the shard. columns: of these posts alone, float32 cosines with the
    query in place of their vectors, (n, 1).
    """

    ordinals: np.ndarray
    columns: Columns


@dataclass(frozen=True)
class Joined:
    """The posts that several shards found, and counts of all shards (a `scored.Collection`).

    ordinals: int64 (n,), numbers that no post of another shard has (`global_ordinals`).
    """

    ordinals: np.ndarray
    columns: Columns
    statistics: Statistics = field(default_factory=Statistics)

    def at(self, places: np.ndarray) -> "Joined":
        """Return some of the posts, in the order of their places."""
        part = columns_at(self.columns, places)
        return Joined(self.ordinals[places], part, self.statistics)


def proposal(view: View, found: Matches, vector: np.ndarray) -> Proposal:
    """Return what a shard tells of posts that it found. vector: of the query, (dimensions,)."""
    part = columns_at(view.columns, found.ordinals)
    cosines = part.vectors.astype(np.float32) @ vector
    return Proposal(found.ordinals, replaced_vectors(part, cosines[:, None]))


def global_ordinals(ordinals: np.ndarray, shard: int, shards: int) -> np.ndarray:
    """Return numbers of a shard's posts that no post of another shard has."""
    return ordinals * shards + shard


def joined(proposals: Mapping[int, Proposal], shards: int) -> Joined:
    """Return what shards proposed, by shard, without counts; there is at least one."""
    ordinals = [global_ordinals(p.ordinals, n, shards) for n, p in proposals.items()]
    columns = appended([p.columns for p in proposals.values()])
    return Joined(np.concatenate(ordinals), columns)


def together(parts: Sequence[Joined]) -> Joined:
    """Return the posts of several searches, each once, without counts."""
    ordinals = np.concatenate([part.ordinals for part in parts])
    _, first = np.unique(ordinals, return_index=True)
    return Joined(ordinals, appended([part.columns for part in parts])).at(np.sort(first))


def columns_at(columns: Columns, ordinals: np.ndarray) -> Columns:
    """Return the columns of some ordinals alone, in their order."""
    places, _ = columns.places_of(ordinals)
    part = {f.name: getattr(columns, f.name)[ordinals] for f in fields(Columns)[3:]}
    ends = np.cumsum(columns.lengths_of(ordinals))
    return Columns(columns.terms[places], columns.exact[places], ends, **part)


def appended(parts: Sequence[Columns]) -> Columns:
    """Return the columns of several collections, one after the other."""
    every = {f.name: [getattr(part, f.name) for part in parts] for f in fields(Columns)}
    before = np.cumsum([0, *(len(part.terms) for part in parts[:-1])])
    every["ends"] = [ends + start for ends, start in zip(every["ends"], before, strict=True)]
    return Columns(**{name: np.concatenate(arrays) for name, arrays in every.items()})


def replaced_vectors(columns: Columns, vectors: np.ndarray) -> Columns:
    """Return columns with other vectors."""
    others = {f.name: getattr(columns, f.name) for f in fields(Columns)}
    return Columns(**(others | {"vectors": vectors}))


def along(wanted: Wanted, weight: float) -> Wanted:
    """Return a query for columns that have cosines in place of vectors. weight: of the embedder."""
    return Wanted(wanted.terms, wanted.exact, np.ones(1, np.float32), weight)


def needed_terms(columns: Columns, wanted: Wanted, others: Mapping[str, float]) -> np.ndarray:
    """Return the hashes of all terms whose counts ranking needs, uint32 (n,), each once, rising."""
    return np.unique(np.concatenate([columns.terms, *wanted.terms, hashed(others)]))


def first_of(found: Joined, weights: Mapping[str, float], most: int) -> Joined:
    """Return the `most` best posts for weighted terms, best first.

    By the BM25 of the text engine (Robertson and Zaragoza 2009) under the counts of all shards: of
    what the shards proposed, these are what one index would have proposed.
    """
    columns, counts, posts = found.columns, found.statistics, found.columns.posts
    if posts <= most or not weights:
        return found
    terms, gains = hashed(weights), np.fromiter(weights.values(), np.float64, len(weights))
    gains = gains * idf(counts.posts, counts.posts_with(terms))
    order = np.argsort(terms)
    tokens, owners = columns.terms_of(np.arange(posts))
    which = np.searchsorted(terms[order], tokens).clip(max=len(terms) - 1)
    right = np.flatnonzero(terms[order][which] == tokens)
    pairs, often = np.unique(owners[right] * len(terms) + which[right], return_counts=True)
    owner, which = pairs // len(terms), pairs % len(terms)
    lengths = columns.lengths_of(owner) / (counts.average_terms or 1.0)
    share = often * (_ENGINE_K1 + 1) / (often + _ENGINE_K1 * (1 - _ENGINE_B + _ENGINE_B * lengths))
    scores = np.bincount(owner, gains[order][which] * share, posts)
    return found.at(np.argsort(-scores, kind="stable")[:most])


def nearest_of(found: Joined, most: int) -> Joined:
    """Return the `most` posts nearest in meaning, nearest first."""
    return found.at(np.argsort(-found.columns.vectors[:, 0].round(5), kind="stable")[:most])


def newest_first(found: Sequence[Candidate], future_from: int, most: int) -> list[Candidate]:
    """Return the newest of what shards found by time, scored by their place."""
    order = sorted(found, key=lambda one: (one.moment >= future_from, -one.moment))[:most]
    return [
        Candidate(one.ordinal, 1 / place, None, one.moment) for place, one in enumerate(order, 1)
    ]
