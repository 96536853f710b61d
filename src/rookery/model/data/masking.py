"""Masking: which documents may no longer be learned, asked of the live log at each step.

Only the new entries of the log are read, and only the documents of a step are examined: even while
a platform deletes posts every second, a step costs no more than its own posts. Not here: what the
log is (`posts/live.py`), and the documents that an earlier phase has learned, on which a later one
must not be judged (`phases.py`).
"""

import numpy as np

from rookery.core.arrays import exchanged
from rookery.core.digest import hash_ids
from rookery.corpus.shards import Exclusions, Shards
from rookery.posts.live import LiveLog


class DocumentMask:
    """A mask of the documents of some shards that are left out at this moment.

    always: bool (documents,), true for those that are left out whatever the log contains.
    """

    def __init__(self, shards: Shards, log: LiveLog, always: np.ndarray | None = None):
        self._shards, self._log = shards, log
        self._always = np.zeros(shards.documents, dtype=bool) if always is None else always
        restrictions = log.restrictions()
        self._exclusions, self._watermark = shards.exclusions(restrictions), restrictions.watermark

    def __call__(self, documents: np.ndarray) -> np.ndarray:
        """Return bool for each of some documents (int64): true if it is left out."""
        return self._shards.holding(self._current_exclusions(), documents) | self._always[documents]

    def all(self) -> np.ndarray:
        """Return bool (documents,) for all documents: true for those that are left out."""
        return self._shards.holding(self._current_exclusions()) | self._always

    def _current_exclusions(self) -> Exclusions:
        subjects, watermark = self._log.subjects_since(self._watermark)
        if subjects:
            new = self._shards.exclusions(
                self._log.restrictions_among([(subject, subject) for subject in subjects])
            )
            changed = np.unique(hash_ids(subjects))
            posts, authors = (
                exchanged(a, changed, b) for a, b in zip(self._exclusions, new, strict=True)
            )
            self._exclusions, self._watermark = Exclusions(posts, authors), watermark
        return self._exclusions
