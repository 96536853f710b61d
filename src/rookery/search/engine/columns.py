"""Columns: what ranking needs of posts, as arrays by ordinal, so that it needs no loop over posts.

Words are kept as 32-bit hashes, in the order of the text: ranking compares and counts them, and
nothing reads them back. `columns_of` makes columns in memory, for judged collections and tests.

Not here: the numbers made of them (`ranking/features.py`) and the counts of a whole collection
(`statistics.py`).
"""

import functools
import itertools
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rookery.core.arrays import ranges
from rookery.core.digest import hash_ids
from rookery.search.engine.analysis import Analysis
from rookery.search.engine.words import author_key

REPOST, REPLY, QUOTE, SENSITIVE, MEDIA, ALT, CONSENTED = 1, 2, 4, 8, 16, 32, 64
"""The bits of `Columns.flags`."""

UNKNOWN = -1
"""The count of likes, reposts or replies that a source does not report."""

_REPOST = re.compile(r"\s*RT\b", re.IGNORECASE)
_REPLY = re.compile(r"\s*[@＠]\w")
_MOST = 255  # what a uint8 holds


@dataclass(frozen=True)
class Columns:
    """What ranking needs of posts, as arrays by ordinal (n posts).

    terms: uint32, hashed terms (stems) of all posts, one after the other, in the order of the text.
    exact: uint32, the hashed words as written (folded), one for each term.
    ends: int64 (n,), where each post's terms end.
    vectors: int8 (n, dimensions), the embedder's vectors times 127, rounded.
    created: int64 (n,), seconds since 1970; 0 where it is not known.
    ids, authors: uint64 (n,), `hash_ids` of the id, and of the author's name as it is looked up.
    same: uint64 (n,), equal for copies of one text.
    likes, reposts, replies: int32 (n,), -1 where the source does not report it.
    tags, mentions, links: uint8 (n,), how many.
    flags: uint8 (n,), bits such as `REPOST`.
    """

    terms: np.ndarray
    exact: np.ndarray
    ends: np.ndarray
    vectors: np.ndarray
    created: np.ndarray
    ids: np.ndarray
    authors: np.ndarray
    same: np.ndarray
    likes: np.ndarray
    reposts: np.ndarray
    replies: np.ndarray
    tags: np.ndarray
    mentions: np.ndarray
    links: np.ndarray
    flags: np.ndarray

    @property
    def posts(self) -> int:
        return len(self.ends)

    def lengths_of(self, ordinals: np.ndarray) -> np.ndarray:
        """Return how many terms each ordinal has, int64 (n,)."""
        return self.ends[ordinals] - self._starts(ordinals)

    def places_of(self, ordinals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where in `terms` (and `exact`) the terms of some ordinals are, post after post.

        The second array names, for each of them, the place of its post in `ordinals`.
        """
        lengths = self.lengths_of(ordinals)
        return ranges(self._starts(ordinals), lengths), np.repeat(np.arange(len(ordinals)), lengths)

    def terms_of(self, ordinals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the terms of some ordinals, post after post, and the place of each one's post."""
        places, owners = self.places_of(ordinals)
        return self.terms[places], owners

    def _starts(self, ordinals: np.ndarray) -> np.ndarray:
        before: np.ndarray = self.ends[ordinals - 1]  # of ordinal 0 this is the last: replaced
        return np.where(ordinals > 0, before, 0)


def hashed(tokens: Iterable[str]) -> np.ndarray:
    """Return the hashes of tokens, uint32 (n,): CRC-32 of their UTF-8."""
    return np.fromiter(map(_hash, tokens), np.uint32)


@functools.lru_cache(maxsize=1 << 17)
def _hash(token: str) -> int:
    return zlib.crc32(token.encode("utf-8", "replace"))


def quantised(vectors: np.ndarray) -> np.ndarray:
    """Return vectors of length 1 as int8: times 127, rounded."""
    return np.rint(np.clip(vectors, -1, 1) * 127).astype(np.int8)


def columns_of(
    rows: pa.Table,
    analyses: Sequence[Analysis],
    vectors: np.ndarray,
    links: Sequence[int | None] | None = None,
) -> Columns:
    """Return the columns of posts (rows of `POST_SCHEMA`), whose ordinals are their places.

    vectors: float32 (posts, dimensions). links: how many links each post has, where its text no
    longer shows them; None: as many as its text has.
    """
    lengths = np.fromiter((len(a.terms) for a in analyses), np.int64, len(analyses))
    texts = rows["text"].to_pylist()
    given = [None] * len(texts) if links is None else links
    return Columns(
        terms=hashed(itertools.chain.from_iterable(a.terms for a in analyses)),
        exact=hashed(itertools.chain.from_iterable(a.exact for a in analyses)),
        ends=np.cumsum(lengths),
        vectors=quantised(vectors),
        created=rows["created"].cast(pa.int64()).to_numpy() // 1_000_000,
        ids=hash_ids(rows["id"].to_pylist()),
        authors=np.fromiter(map(author_hash, rows["author"].to_pylist()), np.uint64),
        same=np.fromiter((int(a.same, 16) for a in analyses), np.uint64),
        likes=_counts(rows["likes"]),
        reposts=_counts(rows["reposts"]),
        replies=_counts(rows["replies"]),
        tags=_few(len(a.tags) for a in analyses),
        mentions=_few(len(a.mentions) for a in analyses),
        links=_few(len(a.links) if g is None else g for a, g in zip(analyses, given, strict=True)),
        flags=flags_of(rows, texts),
    )


@functools.lru_cache(maxsize=1 << 16)
def author_hash(author: str) -> int:
    """Return the hash of an author's name in the form in which it is looked up."""
    return int(hash_ids([author_key(author)])[0])


def flags_of(rows: pa.Table, texts: Sequence[str]) -> np.ndarray:
    """Return the flags of posts, as far as their columns and texts tell them, uint8 (n,)."""
    reposts = _bits(_REPOST.match(text) is not None for text in texts)
    replies = _bits(_REPLY.match(text) is not None for text in texts)
    replies |= rows["reply_to"].is_valid().to_numpy()
    described = rows["alt_text"].is_valid().to_numpy()
    flags = REPOST * reposts + REPLY * replies + QUOTE * rows["quote_of"].is_valid().to_numpy()
    flags += (MEDIA | ALT) * described
    if "sensitive" in rows.column_names:  # older tables of posts lack it
        flags += SENSITIVE * rows["sensitive"].fill_null(False).to_numpy()
    flags += CONSENTED * rows["consent_search"].fill_null(False).to_numpy()
    return flags.astype(np.uint8)


def _bits(values: Iterable[bool]) -> np.ndarray:
    return np.fromiter(values, bool)


def _counts(column: pa.ChunkedArray) -> np.ndarray:
    counts = column.fill_null(UNKNOWN).to_numpy()
    return counts.clip(UNKNOWN, 2**31 - 1).astype(np.int32)


def _few(values: Iterable[int]) -> np.ndarray:
    return np.fromiter((min(v, _MOST) for v in values), np.uint8)
