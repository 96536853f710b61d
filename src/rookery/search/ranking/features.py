"""Features: what is known of each candidate of a query, as numbers that a ranker can weigh.

Pure functions over arrays. Every number is relative to the other candidates of the query, so that
weights learned on one collection hold on another; the order in which candidates come changes
nothing. What a source does not report (counts, times) is 0, which is the mean of those that are
known.

Not here: how features are weighed (`ranker.py`), how weights are learned (`learn.py`), and where
candidates come from (`engine/retrieve.py`).
"""

from dataclasses import dataclass

import numpy as np

from rookery.search.engine.analysis import stem
from rookery.search.engine.columns import REPOST, Columns, hashed
from rookery.search.engine.statistics import Statistics
from rookery.search.engine.words import STOP_WORDS
from rookery.search.ranking.scores import K1, B, idf

FEATURES = (
    "bm25",  # of the query's terms, by the best candidate
    "feedback",  # BM25 of the terms that the best candidates share
    "feedback_again",  # the same once more, of the candidates that are best with feedback
    "coverage",  # the share of the query's terms that the post has, by how rare they are, squared
    "order",  # the share of neighbours in the query that are near and in this order in the post
    "exact",  # the share of the query's words that the post has as written
    "vector",  # the cosine with the query, in standard deviations, by the embedder's worth
    "length",  # of the post: the logarithm of its terms
    "tags",  # how many, up to four
    "mentions",  # how many, up to four
    "link",  # whether there is one
    "repost",  # whether it is one, as far as its text shows
    "copies",  # the logarithm of how many candidates have this text
    "engagement",  # the logarithm of its likes, reposts and replies
    "age",  # the logarithm of its days before the newest candidate
    "burst",  # how many of the best candidates were written within a day of it
)
"""The names of the features, in the order of the columns of `features`."""

_NEAR = 3  # terms from one word to the next that count as the same order
_FIRST = (20, 20)  # posts and terms of feedback
_AGAIN = (30, 30)
_SHARE, _SHORT_QUERY_TERMS = 0.2, 4  # of feedback beside the query when it is asked again
_MOST_SIGNS = 4
_BURST_POSTS = 50
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Wanted:
    """A query as ranking sees it.

    terms: for each term the hashes of the stems that count as this term, uint32.
    exact: the hashes of the words as written, uint32.
    vector: of the whole query, float32 (dimensions,); None for no vectors.
    vector_weight: from 0 to 1, what the embedder's vectors are worth (`Embedder.weight`).
    """

    terms: tuple[np.ndarray, ...]
    exact: np.ndarray
    vector: np.ndarray | None = None
    vector_weight: float = 0.0


def features(
    wanted: Wanted, columns: Columns, ordinals: np.ndarray, statistics: Statistics
) -> np.ndarray:
    """Return the features of candidates, float64 (len(ordinals), len(FEATURES)), all finite."""
    if not len(ordinals) or not wanted.terms:
        return np.zeros((len(ordinals), len(FEATURES)))
    posts = _Posts(columns, ordinals, statistics)
    own = posts.own(wanted)
    words = posts.bm25(own, _even(wanted))
    feedback = posts.feedback(words, *_FIRST)
    share = _SHARE * min(1.0, _SHORT_QUERY_TERMS / len(wanted.terms))
    both = (1 - share) * words + share * feedback
    values = {
        "bm25": _by_best(words),
        "feedback": _by_best(feedback),
        "feedback_again": _by_best(posts.feedback(both, *_AGAIN)),
        "coverage": _coverage(own),
        "order": _order(own, len(wanted.terms), len(ordinals)),
        "exact": posts.share_with(wanted.exact),
        "vector": _nearness(wanted, columns.vectors[ordinals]),
        "length": np.log1p(posts.lengths),
        "tags": np.minimum(columns.tags[ordinals], _MOST_SIGNS),
        "mentions": np.minimum(columns.mentions[ordinals], _MOST_SIGNS),
        "link": columns.links[ordinals] > 0,
        "repost": columns.flags[ordinals] & REPOST > 0,
        "copies": _copies(columns.same[ordinals]),
        "engagement": _engagement(columns, ordinals),
        "age": _age(columns.created[ordinals]),
        "burst": _burst(columns.created[ordinals], both, posts.ids),
    }
    return np.stack([values[name].astype(np.float64) for name in FEATURES], axis=1)


def word_scores(
    wanted: Wanted, columns: Columns, ordinals: np.ndarray, statistics: Statistics
) -> tuple[np.ndarray, np.ndarray]:
    """Return BM25 of the query's terms, and of those that the best candidates share, as it is."""
    if not wanted.terms:
        return np.zeros(len(ordinals)), np.zeros(len(ordinals))
    posts = _Posts(columns, ordinals, statistics)
    words = posts.bm25(posts.own(wanted), _even(wanted))
    return words, posts.feedback(words, *_FIRST)


def shared_terms(
    wanted: Wanted, columns: Columns, ordinals: np.ndarray, statistics: Statistics
) -> tuple[list[int], dict[int, float]]:
    """Return the places of the best candidates, and the terms that they share, with weights."""
    if not wanted.terms or not len(ordinals):
        return [], {}
    posts = _Posts(columns, ordinals, statistics)
    words = posts.bm25(posts.own(wanted), _even(wanted))
    best, terms, weights = posts.shared(words, *_FIRST)
    return best.tolist(), dict(zip(terms.tolist(), weights.tolist(), strict=True))


def _even(wanted: Wanted) -> np.ndarray:
    return np.full(len(wanted.terms), 1 / len(wanted.terms))


@dataclass(frozen=True)
class _Counted:
    """Where terms are in the candidates.

    counts: (terms, posts), how often; idf: (terms,). places, owners, which: for each token that is
    one of the terms, its place among all tokens, its post and its term.
    """

    counts: np.ndarray
    idf: np.ndarray
    places: np.ndarray
    owners: np.ndarray
    which: np.ndarray


class _Posts:
    """The candidates of one query, their tokens one after the other."""

    def __init__(self, columns: Columns, ordinals: np.ndarray, statistics: Statistics) -> None:
        places, self._owners = columns.places_of(ordinals)
        self._tokens, self._exact = columns.terms[places], columns.exact[places]
        self.lengths = columns.lengths_of(ordinals)
        self.ids, self._same = columns.ids[ordinals], columns.same[ordinals]
        self._statistics = statistics
        average = statistics.average_terms or 1.0
        self._saturation = K1 * (1 - B + B * self.lengths / average)

    def own(self, wanted: Wanted) -> _Counted:
        """Return where the query's terms are in the posts."""
        lengths = [len(stems) for stems in wanted.terms]
        return self.counted(
            np.concatenate(wanted.terms), np.repeat(np.arange(len(lengths)), lengths)
        )

    def counted(self, stems: np.ndarray, terms_of: np.ndarray) -> _Counted:
        """Return where terms are in the posts; `terms_of` names the term of each stem, rising."""
        places, found = _matches(self._tokens, stems)
        which, owners = terms_of[found], self._owners[places]
        shape = (int(terms_of[-1]) + 1, len(self.lengths))
        counts = np.bincount(which * shape[1] + owners, minlength=shape[0] * shape[1])
        with_term = np.bincount(terms_of, self._statistics.posts_with(stems))
        return _Counted(
            counts.reshape(shape), idf(self._statistics.posts, with_term), places, owners, which
        )

    def bm25(self, counted: _Counted, weights: np.ndarray) -> np.ndarray:
        """Return the BM25 score of each post for weighted terms (`scores.py` has the formula)."""
        counts = counted.counts
        gains = weights * counted.idf
        return gains @ (counts * (K1 + 1) / (counts + self._saturation))

    def feedback(self, scores: np.ndarray, posts: int, terms: int) -> np.ndarray:
        """Return the BM25 score of each post for the terms that the best posts share.

        Relevance feedback, after RM3 (Abdul-Jaleel et al. 2004); of copies the first one counts.
        """
        _, tokens, weights = self.shared(scores, posts, terms)
        if not len(tokens):
            return np.zeros(len(scores))
        return self.bm25(self.counted(tokens, np.arange(len(tokens))), weights)

    def shared(
        self, scores: np.ndarray, posts: int, terms: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the best posts, the terms that they share, and the weights of these, of sum 1."""
        order = np.lexsort((self.ids, -scores))[:posts]
        order = order[scores[order] > 0]
        order = order[np.sort(np.unique(self._same[order], return_index=True)[1])]
        gain = np.zeros(len(scores))
        gain[order] = scores[order] / np.maximum(self.lengths[order], 1)
        tokens, shared = self._shared(gain)
        shared = shared * idf(self._statistics.posts, self._statistics.posts_with(tokens))
        top = np.lexsort((tokens, -shared))[:terms]
        return order, tokens[top], shared[top] / (shared[top].sum() or 1.0)

    def share_with(self, words: np.ndarray) -> np.ndarray:
        """Return the share of some words that each post has as written."""
        words = np.unique(words)
        if not len(words):
            return np.zeros(len(self.lengths))
        places, found = _matches(self._exact, words)
        pairs = np.unique(self._owners[places] * len(words) + found)
        return np.bincount(pairs // len(words), minlength=len(self.lengths)) / len(words)

    def _shared(self, gain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the distinct terms of posts, small words left out, and the sum of their gains."""
        mine = gain[self._owners]
        chosen = np.flatnonzero(mine)
        tokens, mine = self._tokens[chosen], mine[chosen]
        large = np.ones(len(tokens), bool)
        large[_matches(tokens, _STOP)[0]] = False
        tokens, mine = tokens[large], mine[large]
        # Sorted, so that sums do not depend on the order of the candidates in the last bit.
        order = np.lexsort((mine, tokens))
        tokens, mine = tokens[order], mine[order]
        first = np.flatnonzero(np.r_[True, tokens[1:] != tokens[:-1]][: len(tokens)])
        return tokens[first], np.add.reduceat(mine, first) if len(first) else mine


_STOP = hashed(sorted(set(stem(sorted(STOP_WORDS)))))


def _matches(tokens: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of tokens that are wanted, and which of the wanted each one is."""
    # Few tokens are: most are sorted out by their low bits.
    may = np.zeros(1 << 16, bool)
    may[wanted & 0xFFFF] = True
    places = np.flatnonzero(may[tokens & 0xFFFF])
    order = np.argsort(wanted, kind="stable")
    found = order[np.searchsorted(wanted, tokens[places], sorter=order).clip(max=len(wanted) - 1)]
    right = wanted[found] == tokens[places]
    return places[right], found[right]


def _by_best(scores: np.ndarray) -> np.ndarray:
    return scores / (scores.max() or 1.0)


def _coverage(own: _Counted) -> np.ndarray:
    # Squared, so that small words cover little in any language, also without a list of them.
    rarity = own.idf**2
    return rarity @ (own.counts > 0) / (rarity.sum() or 1.0)


def _order(own: _Counted, terms: int, posts: int) -> np.ndarray:
    """Return the share of the query's pairs of neighbours that follow each other in each post."""
    if terms < 2:
        return np.zeros(posts)
    follows = (np.diff(own.which) == 1) & (np.diff(own.owners) == 0)
    follows &= np.diff(own.places) <= _NEAR
    at = np.flatnonzero(follows)
    pairs = np.unique(own.owners[at] * terms + own.which[at])
    return np.bincount(pairs // terms, minlength=posts) / (terms - 1)


def _nearness(wanted: Wanted, vectors: np.ndarray) -> np.ndarray:
    """Return the cosines in standard deviations above their mean, by the embedder's worth."""
    if wanted.vector is None or not vectors.shape[1]:
        return np.zeros(len(vectors))
    return wanted.vector_weight * _standard(vectors.astype(np.float32) @ wanted.vector)


def _standard(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)  # so that their order changes nothing
    deviation = values.std()
    return (values - values.mean()) / deviation if deviation > 1e-6 else np.zeros(len(values))


def _copies(same: np.ndarray) -> np.ndarray:
    _, which, counts = np.unique(same, return_inverse=True, return_counts=True)
    return np.log(counts[which])


def _engagement(columns: Columns, ordinals: np.ndarray) -> np.ndarray:
    counts = np.stack([c[ordinals] for c in (columns.likes, columns.reposts, columns.replies)])
    known = np.any(counts >= 0, axis=0)
    return _from_mean(np.log1p(np.maximum(counts, 0).sum(axis=0, dtype=np.int64)), known)


def _age(created: np.ndarray) -> np.ndarray:
    return _from_mean(np.log1p((created.max() - created) / _DAY_SECONDS), created > 0)


def _from_mean(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the known values less their mean, and 0 for the others."""
    return np.where(known, values - values[known].mean(), 0.0) if known.any() else 0.0 * values


def _burst(created: np.ndarray, scores: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return how dense the best candidates are around each one's time, by the densest one.

    A Gaussian kernel of a day, weighted by score (after Efron, Lin, He and de Vries 2014).
    """
    best = np.lexsort((ids, -scores))[:_BURST_POSTS]
    best = best[created[best] > 0]
    # As float32, which is exact to a second over half a year and several times as fast.
    apart = (created[:, None] - created[best]).astype(np.float32) / np.float32(_DAY_SECONDS)
    weights = np.maximum(scores[best], 0.0)
    density = np.exp(-0.5 * apart * apart) @ weights
    density[best] -= weights  # a candidate is not near itself
    density = np.where(created > 0, np.maximum(density, 0.0), 0.0)
    return _from_mean(_by_best(density), created > 0)
