"""Which documents may no longer be learned: the live log says so, at each step anew.

Of the log only what is new is read, and only the documents of a step are looked at: while a platform deletes by the
second, a step costs no more than its own posts. Not here: what the log is (`posts.live`).
"""

import numpy as np

from rookery.core.arrays import exchanged
from rookery.core.digest import hash_ids
from rookery.corpus.shards import Barred, Shards
from rookery.posts.live import LiveLog


class Masked:
    """Asks a log which documents of some shards are left out."""

    def __init__(self, shards: Shards, log: LiveLog):
        self._shards, self._log = shards, log
        standing = log.standing()
        self._barred, self._watermark = shards.barred(standing), standing.watermark

    def __call__(self, documents: np.ndarray) -> np.ndarray:
        """Of some documents, given by number: bool of the same shape."""
        return self._shards.holding(self._barred_now(), documents)

    def all(self) -> np.ndarray:
        """Of all documents: bool of shape (documents,)."""
        return self._shards.holding(self._barred_now())

    def _barred_now(self) -> Barred:
        subjects, watermark = self._log.subjects_since(self._watermark)
        if subjects:
            new = self._shards.barred(self._log.standing_among([(subject, subject) for subject in subjects]))
            told = np.unique(hash_ids(subjects))
            posts, authors = (exchanged(a, told, b) for a, b in zip(self._barred, new, strict=True))
            self._barred, self._watermark = Barred(posts, authors), watermark
        return self._barred
