"""Which documents may no longer be learned: the live log says so, at each step anew.

Of the log only what is new is read, and only the documents of a step are looked at: while a
platform deletes by the second, a step costs no more than its own posts. Not here: what the log is
(`posts.live`), and which documents an earlier phase learned from, by which a later one is not
judged (`phases.py`).
"""

import numpy as np

from rookery.core.arrays import exchanged
from rookery.core.digest import hash_ids
from rookery.corpus.shards import Exclusions, Shards
from rookery.posts.live import LiveLog


class DocumentMask:
    """Asks a log which documents of some shards are left out, beside those that always are (bool,
    documents).
    """

    def __init__(self, shards: Shards, log: LiveLog, always: np.ndarray | None = None):
        self._shards, self._log = shards, log
        self._always = np.zeros(shards.documents, dtype=bool) if always is None else always
        restrictions = log.restrictions()
        self._exclusions, self._watermark = shards.exclusions(restrictions), restrictions.watermark

    def __call__(self, documents: np.ndarray) -> np.ndarray:
        """Of some documents, given by number: bool of the same shape."""
        return self._shards.holding(self._current_exclusions(), documents) | self._always[documents]

    def all(self) -> np.ndarray:
        """Of all documents: bool of shape (documents,)."""
        return self._shards.holding(self._current_exclusions()) | self._always

    def _current_exclusions(self) -> Exclusions:
        subjects, watermark = self._log.subjects_since(self._watermark)
        if subjects:
            new = self._shards.exclusions(
                self._log.restrictions_among([(subject, subject) for subject in subjects])
            )
            told = np.unique(hash_ids(subjects))
            posts, authors = (
                exchanged(a, told, b) for a, b in zip(self._exclusions, new, strict=True)
            )
            self._exclusions, self._watermark = Exclusions(posts, authors), watermark
        return self._exclusions
