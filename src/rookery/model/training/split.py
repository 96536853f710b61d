"""One split of the shards, as a run in training takes it: step by step, without masked documents.

A run learns from the split `train` and is judged by the split `validation`. Not here: the order of
the documents and how they fill rows (`data/batches.py`), and which are masked (`data/masking.py`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from rookery.core.artifact import Artifact
from rookery.core.context import Progress
from rookery.core.home import Home
from rookery.corpus.shards import Shards, open_shards
from rookery.model.config import TuneConfig
from rookery.model.data.batches import Share, Step, batches
from rookery.model.data.masking import DocumentMask
from rookery.model.data.order import BEGINNING, Position
from rookery.model.degrees import micro_batches
from rookery.model.phases import learned_before
from rookery.model.training.run import Run
from rookery.posts.live import live_log

# tokens by which a finished run is judged
VALIDATION_TOKENS = 1 << 16
# tokens by which a run is judged while it trains: at most so many, or this share of all that it
# trains on, but at least one step's
SHORT_VALIDATION_TOKENS, SHORT_VALIDATION_SHARE = 1 << 13, 1 / 200


@dataclass(frozen=True)
class Split:
    """Documents, and in the first process a mask of those that are left out.

    The mask of the first process is broadcast at each step, so that no two processes see different
    documents; the others have None. If the first has None, nothing is left out.
    """

    shards: Shards
    mask: DocumentMask | None = None

    def steps(self, run: Run, begin: Position = BEGINNING) -> Iterator[Step]:
        """Yield this process's share of the steps over these documents, from a position on."""

        def broadcast_mask(documents: np.ndarray) -> np.ndarray:
            own = None if self.mask is None else self.mask(documents)
            return run.processes.broadcast_mask(own, len(documents))

        degrees = run.processes.degrees
        pieces = micro_batches(degrees, run.config) if run.pipeline else None
        share = Share(run.processes.data_part, degrees.data, pieces)
        return batches(self.shards, run.config, broadcast_mask, begin, share)

    def validation(self, run: Run) -> Iterator[Step]:
        """Yield the steps by which a finished run is judged; a tuning is judged by no more tokens
        than it has seen.
        """
        most = run.config.tokens if isinstance(run.config, TuneConfig) else VALIDATION_TOKENS
        return self._first_steps(run, min(VALIDATION_TOKENS, most, len(self.shards.tokens)))

    def short_validation(self, run: Run) -> Iterator[Step]:
        """Yield the few steps, always the same, by which a run is judged while it trains."""
        share = SHORT_VALIDATION_SHARE * run.config.tokens
        return self._first_steps(run, min(SHORT_VALIDATION_TOKENS, share, len(self.shards.tokens)))

    def _first_steps(self, run: Run, tokens: float) -> Iterator[Step]:
        return islice(self.steps(run), max(1, int(tokens / run.config.batch_tokens)))

    def masked_documents(self) -> np.ndarray:
        """Return which documents are left out at this moment: bool (documents,)."""
        none = np.zeros(self.shards.documents, dtype=bool)
        return none if self.mask is None else self.mask.all()


def open_splits(shards: Artifact) -> tuple[Split, Split]:
    """Return the documents to learn from and those to be judged by, without masks."""
    return Split(open_shards(shards, "train")), Split(open_shards(shards, "validation"))


@contextmanager
def masked(
    home: Home, learned: Split, held_out: Split, earlier: Artifact | None, progress: Progress
) -> Iterator[tuple[Split, Split]]:
    """Yield both splits with masks that follow the live log.

    A model is not judged by documents that hold a post from which an earlier phase has learned.
    """
    with live_log(home) as log:
        known = learned_before(home, earlier, held_out.shards, progress.say)
        yield (
            replace(learned, mask=DocumentMask(learned.shards, log)),
            replace(held_out, mask=DocumentMask(held_out.shards, log, known)),
        )
