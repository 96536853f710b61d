"""The held-out documents of a corpus as an evaluation needs them: which may be judged on, and how far from training.

A text that stands in the training part too is left out: a model that knows it by heart is no better for it. One
that says the same but for links and marks, or shares a run of eight words with a training text (a quotation, a
headline, a form filled in), is kept and marked. What the model makes of all this is in `evaluate.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.artifact import Artifact
from rookery.core.context import Progress
from rookery.core.errors import DataError
from rookery.corpus import normalize
from rookery.corpus.document import LAKE_VERSION, MORE_IS_NEEDED, count_documents, read_documents
from rookery.corpus.split import Overlap
from rookery.posts.live import Standing

MONTH = timedelta(days=30)
SEEN, UNSEEN = "seen", "unseen"
REPEATED, NEW = "repeated", "new"


@dataclass(frozen=True)
class HeldOut:
    """Texts to judge on; all arrays have one value a text.

    authors: a number for the first author of each. months: 1 for the first thirty days after the last training
    document. acquaintance: `SEEN` where something of any of its authors is learned from. novelty: `REPEATED`
    where it is not new (see this module's opening). left_out: how many documents are not judged on, by reason.
    """

    texts: list[str]
    languages: np.ndarray
    authors: np.ndarray
    months: np.ndarray
    acquaintance: np.ndarray
    novelty: np.ndarray
    left_out: Mapping[str, int]
    training_bytes: int
    trained_until: datetime


def held_out(corpus: Artifact, standing: Standing, most: int, progress: Progress) -> HeldOut:
    """Of the first `most` held-out documents that may still be trained on, those whose text is not in training.

    Raises `DataError` if there is none.
    """
    judged, forgotten = _allowed(corpus, standing, most)
    training = _Training(judged)
    if judged.num_rows:
        with progress.task("what training holds", count_documents(corpus, "train"), "documents") as task:
            for batch in read_documents(corpus, "train", ["text", "author_ids", "created"]):
                training.see(batch)
                task.advance(batch.num_rows)
    kept = np.flatnonzero(~training.holds_text)
    if not len(kept):
        raise DataError(
            "the corpus has no held-out documents to judge on",
            where=corpus.path,
            mend=MORE_IS_NEEDED,
        )
    chosen = judged.take(pa.array(kept))
    first_authors = pc.list_element(chosen["author_ids"], 0).combine_chunks()
    return HeldOut(
        texts=chosen["text"].to_pylist(),
        languages=np.array(pc.fill_null(chosen["language"], "unknown").to_pylist()),
        authors=pc.dictionary_encode(first_authors).indices.to_numpy(),
        months=_months(chosen["created"].to_pylist(), training.until),
        acquaintance=np.where(training.knows_author()[kept], SEEN, UNSEEN),
        novelty=np.where(training.repeats()[kept], REPEATED, NEW),
        left_out={"forgotten": forgotten, "text_in_training": judged.num_rows - len(kept)},
        training_bytes=training.bytes,
        trained_until=training.until,
    )


def _allowed(corpus: Artifact, standing: Standing, most: int) -> tuple[pa.Table, int]:
    """The first held-out documents all of whose posts may still be trained on, and how many before them may not."""
    version, forgotten = corpus.manifest.metrics[LAKE_VERSION], 0
    batches, left = [], most
    for batch in read_documents(corpus, "validation", ["text", "language", "post_ids", "author_ids", "created"]):
        may = np.array([_may(standing, row, version) for row in batch.to_pylist()], dtype=bool)
        places = np.flatnonzero(may)[:left]
        looked_at = places[-1] + 1 if len(places) == left else len(may)
        forgotten += int((~may[:looked_at]).sum())
        batches.append(batch.take(pa.array(places)))
        left -= len(places)
        if not left:
            break
    table = pa.Table.from_batches(batches)
    return table.filter(pc.greater(pc.binary_length(table["text"]), 0)), forgotten


def _may(standing: Standing, row: dict, version: int) -> bool:
    posts = zip(row["post_ids"], row["author_ids"], strict=True)
    return not any(standing.bars("training", *post, version) for post in posts)


class _Training:
    """What the training documents have in common with those that are judged on; they pass by in batches."""

    def __init__(self, judged: pa.Table):
        self._texts = pa.chunked_array(judged["text"].chunks, pa.string())
        self._authors = pa.chunked_array(judged["author_ids"].chunks, judged["author_ids"].type).combine_chunks()
        self._overlap = Overlap(_keys(self._texts.combine_chunks()))
        self._known = np.zeros(len(self._authors.flatten()), dtype=bool)
        self.holds_text = np.zeros(judged.num_rows, dtype=bool)
        self.bytes, self.until = 0, datetime.min.replace(tzinfo=UTC)

    def see(self, batch: pa.RecordBatch) -> None:
        texts, created = batch.column("text"), pc.max(batch.column("created")).as_py()
        self.holds_text |= pc.is_in(self._texts, value_set=texts).to_numpy(zero_copy_only=False)
        authors = pc.unique(batch.column("author_ids").flatten())
        self._known |= pc.is_in(self._authors.flatten(), value_set=authors).to_numpy(zero_copy_only=False)
        self._overlap.see(_keys(texts))
        self.bytes += pc.sum(pc.binary_length(texts)).as_py()
        self.until = max(self.until, created)

    def knows_author(self) -> np.ndarray:
        """bool (documents,): whether any author of each is one of training."""
        known = np.concatenate([[0], np.cumsum(self._known)])
        ends = np.cumsum(self._authors.value_lengths().to_numpy())
        return known[ends] > known[np.concatenate([[0], ends[:-1]])]

    def repeats(self) -> np.ndarray:
        """bool (documents,): whether each says what training says, or a run of eight of its words."""
        return np.logical_or(*self._overlap.seen())


def _keys(texts: pa.Array) -> pa.Array:
    """The normalised texts; a text without words is its own key."""
    keys = normalize.key(texts)
    return pc.if_else(pc.equal(keys, ""), texts, keys)


def _months(created: list[datetime], until: datetime) -> np.ndarray:
    return np.array([max(0, (time - until) // MONTH) + 1 for time in created])
