"""The sieve: which posts are left, and the first reason against each of the others.

`sift` asks the rules in their order. Not here: the rules themselves (quality.py, spam.py,
dedup.py), and the posts that the split and the mixture drop (assemble.py).
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from rookery.core.context import Context
from rookery.core.errors import DataError
from rookery.corpus import dedup, minhash, quality, spam
from rookery.corpus.prepared import BAND, Posts


class Sieve:
    """The rows 0 to n - 1 of posts, all of them in at first, and the rows that each step dropped.

    `dropped` holds the rows of each reason, in the order of the steps.
    """

    def __init__(self, rows: int) -> None:
        self.alive = np.ones(rows, dtype=bool)
        self.dropped: dict[str, np.ndarray] = {}

    @property
    def rows(self) -> np.ndarray:
        """Return the rows that are still in, ascending."""
        return np.flatnonzero(self.alive)

    @property
    def mask(self) -> pa.Array:
        """Return for each row whether it is still in, as a mask for Arrow."""
        return pa.array(self.alive)

    def drop(self, reason: str, rows: np.ndarray) -> None:
        """Drop rows for a reason; a row that was dropped before keeps its first reason."""
        new = rows[self.alive[rows]]
        self.alive[new] = False
        self.dropped[reason] = np.sort(np.concatenate([self.dropped.get(reason, new[:0]), new]))


def sift(posts: Posts, context: Context) -> tuple[Sieve, dict[str, np.ndarray]]:
    """Drop posts by quality, then machines and copies.

    Each step looks at what the steps before it have left. Returned as well are the copies by their
    reason, as (n, 2) rows: the post that represents the copy, and the copy.
    """
    sieve = Sieve(len(posts))
    _drop_by_quality(sieve, posts)
    _drop_machines(sieve, posts)
    # Exact copies go first: they are cheap to find, and fewer texts are left to compare.
    exact = _drop_copies(
        sieve, dedup.EXACT_DUPLICATE, dedup.earliest(posts.numbers("key_hash", sieve.rows))
    )
    _drop_floods(sieve, posts)
    near = _drop_copies(sieve, dedup.NEAR_DUPLICATE, _near_duplicates(posts, sieve.rows, context))
    return sieve, {dedup.EXACT_DUPLICATE: exact, dedup.NEAR_DUPLICATE: near}


def count_dropped(posts: Posts, sieve: Sieve) -> Counter[str]:
    """Count the posts that may not be trained on and those that the sieve dropped, by reason."""
    counts = posts.refused["training"].copy()
    counts.update({reason: len(rows) for reason, rows in sieve.dropped.items() if len(rows)})
    return counts


def require_posts(posts: Posts, sieve: Sieve) -> None:
    """Raise `DataError` if fewer than two posts are left: one for training, one for validation."""
    if len(sieve.rows) >= 2:
        return
    reasons = count_dropped(posts, sieve).most_common(3)
    dropped = ", ".join(f"{reason} {count:,}" for reason, count in reasons)
    raise DataError(
        f"{len(sieve.rows)} of {posts.in_lake:,} posts are left to make a corpus of",
        hint=f"Dropped: {dropped}" if dropped else "Ingest more posts",
    )


def _drop_by_quality(sieve: Sieve, posts: Posts) -> None:
    codes, reasons = posts.coded("quality")
    for reason in quality.RULES:
        code = reasons.index(reason) if reason in reasons else None
        sieve.drop(reason, np.flatnonzero(codes == code))


def _drop_machines(sieve: Sieve, posts: Posts) -> None:
    author, created = posts.numbers("author_hash"), posts.numbers("created")
    # Both rules see all posts: a machine is known by its timing, whatever it wrote.
    sieve.drop(spam.FASTER_THAN_HUMAN, np.flatnonzero(spam.faster_than_human(author, created)))
    sieve.drop(spam.CLOCKWORK, np.flatnonzero(spam.clockwork(author, created)))


def _drop_floods(sieve: Sieve, posts: Posts) -> None:
    rows = sieve.rows
    author, template = (posts.numbers(name, rows) for name in ("author_hash", "template_hash"))
    sieve.drop(dedup.TEMPLATE_FLOOD, rows[dedup.floods(author, template)])


def _near_duplicates(posts: Posts, rows: np.ndarray, context: Context) -> np.ndarray:
    """Return int64 (rows,): for each row the place in `rows` of the post that represents it."""
    with context.progress.task("finding near duplicates", minhash.BANDS, "bands") as task:

        def band(number: int) -> np.ndarray:
            task.advance()
            return posts.numbers(f"{BAND}{number}", rows)

        def keys(places: np.ndarray) -> Sequence[str]:
            return posts.pick(rows[places], ["key"])["key"].to_pylist()

        return dedup.near_duplicates(band, posts.sketches(rows), keys)


def _drop_copies(sieve: Sieve, reason: str, representative: np.ndarray) -> np.ndarray:
    """Drop the rows that another represents; return (n, 2) rows: the representative, the copy."""
    rows = sieve.rows
    copies = np.flatnonzero(representative != np.arange(len(rows)))
    sieve.drop(reason, rows[copies])
    return np.stack([rows[representative[copies]], rows[copies]], axis=1)
