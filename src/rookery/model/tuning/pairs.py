"""Pairs: which posts of a corpus belong together, as two texts that search should find by each
other.

A pair is a reply and its parent, a quote and what it quotes, or two posts with the same link, one
after the other in time. Two texts of nearly the same words, or of hardly any, are no pair: nothing
is to be learned from them. Of a post alone come two crops: its tokens cut in two. The latest pairs
are held back: by them the result is judged (`workflows/worth.py`).

Only posts of the corpus' training documents are read, so what may be trained on was asked already;
what was forgotten since is masked by the reader (`search.py`). Not here: the loss (`contrast.py`).
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.artifact import Artifact
from rookery.core.home import Home
from rookery.corpus.document import ERASED_ID, SPLITS, read_documents
from rookery.corpus.gather import THREAD_GAP
from rookery.corpus.normalize import LINK
from rookery.posts.lake import open_lake

SOURCES = ("reply", "quote", "link")
CROP = "crop"
ALIKE, FEWEST_WORDS = 0.5, 4
"""Jaccard overlap of words from which two texts are no pair, and the fewest words of each."""
MOST_WITH_LINK = 30  # a link in more posts than this is an advertisement or the platform's own
HELD_SHARE, MOST_HELD = 0.1, 1_000
_LINK = re.compile(LINK)


@dataclass(frozen=True)
class Pairs:
    """Pairs of posts, in the order of the later one's time.

    rows: int64 (pairs, 2), places among posts sorted by time, the earlier post first. source: int64
    (pairs,), places in `SOURCES`.
    """

    rows: np.ndarray
    source: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def counts(self) -> dict[str, int]:
        """Return how many pairs are of each source."""
        return {name: int((self.source == n).sum()) for n, name in enumerate(SOURCES)}

    def chosen(self, wanted: np.ndarray) -> "Pairs":
        """Return some of the pairs: bool or places."""
        return Pairs(self.rows[wanted], self.source[wanted])


def read_posts(home: Home, corpus: Artifact) -> pa.Table:
    """Return the posts of a corpus' training documents, sorted by time.

    Columns: id, author, text (as the corpus cleaned it), created, reply_to, quote_of. Posts that
    the lake no longer holds are left out.
    """
    texts = pa.concat_tables(map(_posts_of, read_documents(corpus, SPLITS[0], _DOCUMENT)))
    texts = texts.filter(_first_of_each(texts["id"]))
    ids = texts["id"].combine_chunks()
    columns = ["id", "created", "reply_to", "quote_of"]
    lake = pa.Table.from_batches(open_lake(home).batches(columns))
    relations = lake.filter(pc.is_in(lake["id"], ids))
    posts = texts.take(pc.index_in(relations["id"], ids))
    for name in columns[1:]:
        posts = posts.append_column(name, relations[name])
    order = [("created", "ascending"), ("id", "ascending")]
    return posts.take(pc.sort_indices(posts, order)).combine_chunks()


_DOCUMENT = ("text", "post_ids", "author_ids")


def _posts_of(documents: pa.RecordBatch) -> pa.Table:
    """Return the posts of documents; an erased document has none."""
    whole = documents.filter(pc.not_equal(documents["text"], ""))
    texts = pc.split_pattern(whole["text"], THREAD_GAP)
    ids, authors = whole["post_ids"], whole["author_ids"]
    whole_texts = pc.equal(texts.value_lengths(), ids.value_lengths())
    columns = [one.filter(whole_texts).flatten() for one in (ids, authors, texts)]
    table = pa.table(columns, ["id", "author", "text"])
    return table.filter(pc.not_equal(table["id"], ERASED_ID))


def _first_of_each(ids: pa.ChunkedArray) -> pa.Array:
    """Return for each id, as bool, whether it is there for the first time."""
    whole = ids.combine_chunks()
    codes = whole.dictionary_encode().indices.to_numpy()
    first = np.zeros(len(codes), dtype=bool)
    first[np.unique(codes, return_index=True)[1]] = True
    return pa.array(first)


def find_pairs(posts: pa.Table, folded: Sequence[str]) -> Pairs:
    """Return the pairs of posts that `read_posts` returned.

    folded: their texts as `embed.fold` makes them.
    """
    found: dict[tuple[int, int], int] = {}
    for source, pairs in enumerate((_named(posts, "reply_to"), _named(posts, "quote_of"))):
        for pair in pairs:
            found.setdefault(pair, source)
    words = _Words(folded)
    for pair in _linked(posts["text"].to_pylist(), words):
        found.setdefault(pair, SOURCES.index("link"))
    kept = sorted((b, a, source) for (a, b), source in found.items() if words.teach(a, b))
    rows = np.array([(a, b) for b, a, _ in kept], np.int64).reshape(-1, 2)
    return Pairs(rows, np.array([source for *_, source in kept], np.int64))


def held_back(pairs: Pairs) -> tuple[Pairs, Pairs, int]:
    """Return the pairs to learn from, the latest ones to judge by, and the first held-back post.

    No post from the third value on is in a pair to learn from.
    """
    if not len(pairs):
        return pairs, pairs, np.iinfo(np.int64).max
    count = min(MOST_HELD, int(np.ceil(len(pairs) * HELD_SHARE)))
    border = int(pairs.rows[-count:, 1].min())
    is_held = pairs.rows[:, 1] >= border  # the second is the later one
    return pairs.chosen(~is_held), pairs.chosen(is_held), border


def groups(pairs: Pairs, posts: int) -> np.ndarray:
    """Return a number for each post, int64 (posts,), equal for posts that pairs connect."""
    group, (a, b) = np.arange(posts), pairs.rows.T
    while True:
        lower, least = group.copy(), np.minimum(group[a], group[b])
        np.minimum.at(lower, a, least)
        np.minimum.at(lower, b, least)
        if np.array_equal(lower := lower[lower], group):
            return group
        group = lower


class _Words:
    """The distinct words of each text, made when they are asked for."""

    def __init__(self, texts: Sequence[str]):
        self._texts = texts

    def of(self, text: int) -> set[str]:
        return set(self._texts[text].split())

    def teach(self, one: int, other: int) -> bool:
        """Return whether two texts differ enough, and have enough words, to be a pair."""
        a, b = self.of(one), self.of(other)
        enough = min(len(a), len(b)) >= FEWEST_WORDS
        return enough and len(a & b) < ALIKE * len(a | b)


def _named(posts: pa.Table, field: str) -> list[tuple[int, int]]:
    """Return the pairs of posts of which one names the other, the earlier first."""
    other = pc.index_in(posts[field], posts["id"].combine_chunks()).combine_chunks()
    own = np.flatnonzero(other.is_valid())
    named = other.drop_null().to_numpy()
    return [
        (min(a, b), max(a, b)) for a, b in zip(own.tolist(), named.tolist(), strict=True) if a != b
    ]


def _linked(texts: Sequence[str], words: _Words) -> Iterator[tuple[int, int]]:
    """Yield each post with the next one that has the same link and other words."""
    holding = defaultdict(list)
    for post, text in enumerate(texts):
        for link in set(_LINK.findall(text)):
            holding[link.rstrip(".,;:!?…)]}'\"»”")].append(post)
    for posts in holding.values():
        if 2 <= len(posts) <= MOST_WITH_LINK:
            for place, post in enumerate(posts):
                following = (n for n in posts[place + 1 :] if words.teach(post, n))
                if (other := next(following, None)) is not None:
                    yield post, other
