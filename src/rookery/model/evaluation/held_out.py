"""Held-out documents: which of a corpus may be judged on, and how close they are to training.

The training documents are those that the model learned from; they may belong to other corpora than
the held-out ones. A held-out document is left out if its text, or one of its posts, is in training:
a model that knows it by heart is no better for it. A document is kept, but marked as repeated, if
its text equals a training text but for links and marks, or shares a run of eight words with one (a
quotation, a headline, a form filled in). How the model is judged on these documents is in
`evaluate.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.artifact import Artifact
from rookery.core.context import Progress
from rookery.core.digest import hash_ids
from rookery.core.errors import DataError
from rookery.corpus import normalize
from rookery.corpus.document import LAKE_VERSION, MORE_IS_NEEDED, count_documents, read_documents
from rookery.corpus.split import Overlap
from rookery.posts.restrictions import Restrictions

JUDGED_COLUMNS = ["text", "language", "post_ids", "author_ids", "created", "controls"]
TRAINING_COLUMNS = ["text", "post_ids", "author_ids", "created"]
MONTH = timedelta(days=30)
SEEN, UNSEEN = "seen", "unseen"
REPEATED, NEW = "repeated", "new"
TIMES = {0: "0", 1: "1", 2: "2 to 9", 10: "10 or more"}
"""The names of how often a text is in training, each by the least number that it stands for."""


@dataclass(frozen=True)
class HeldOut:
    """The texts to judge on; lists and arrays have one value for each text.

    controls: the control tokens that each begins with. authors: a number for the first author of
    each. months: 1 for the first thirty days after the last training document, 0 for anything
    older than it. acquaintance: `SEEN` if training holds a document of any of its authors, else
    `UNSEEN`. novelty: `REPEATED` if it is not new (see this module's opening), else `NEW`.
    repetitions: how often training holds it, or the eight words of it that are there most often, as
    one of `TIMES`.
    left_out: how many documents are not judged on, by reason. training_bytes: the bytes of all
    training texts, each counted once. trained_until: when the last training document was written.
    """

    texts: list[str]
    controls: list[list[str]]
    languages: np.ndarray
    authors: np.ndarray
    months: np.ndarray
    acquaintance: np.ndarray
    novelty: np.ndarray
    repetitions: np.ndarray
    left_out: Mapping[str, int]
    training_bytes: int
    trained_until: datetime


def held_out(
    corpus: Artifact,
    learned: Sequence[Artifact],
    restrictions: Restrictions,
    most: int,
    progress: Progress,
) -> HeldOut:
    """Return the held-out documents of a corpus that a model may be judged on.

    They are taken from the first `most` of those that may still be trained on; none has its text or
    a post in training. learned: the corpora whose training documents the model learned from. Raises
    `DataError` if no document is left.
    """
    judged, forgotten = _allowed(corpus, restrictions, most)
    training = _Training(judged)
    if judged.num_rows:
        total = sum(count_documents(one, "train") for one in learned)
        with progress.task("training documents", total, "documents") as task:
            for batch in chain.from_iterable(
                read_documents(one, "train", TRAINING_COLUMNS) for one in learned
            ):
                training.see(batch)
                task.advance(batch.num_rows)
    kept = np.flatnonzero(~training.holds())
    if not len(kept):
        raise DataError(
            "the corpus has no held-out documents to judge on",
            where=corpus.path,
            hint=MORE_IS_NEEDED,
        )
    chosen = judged.take(pa.array(kept))
    first_authors = pc.list_element(chosen["author_ids"], 0).combine_chunks()
    return HeldOut(
        texts=chosen["text"].to_pylist(),
        controls=chosen["controls"].to_pylist(),
        languages=np.array(pc.fill_null(chosen["language"], "unknown").to_pylist()),
        authors=pc.dictionary_encode(first_authors).indices.to_numpy(),
        months=_months(chosen["created"].to_pylist(), training.until),
        acquaintance=np.where(training.knows_author()[kept], SEEN, UNSEEN),
        novelty=np.where(training.times()[kept] > 0, REPEATED, NEW),
        repetitions=np.array(list(TIMES.values()))[
            np.searchsorted(list(TIMES), training.times()[kept], side="right") - 1
        ],
        left_out={"forgotten": forgotten, "text_in_training": judged.num_rows - len(kept)},
        training_bytes=training.bytes(),
        trained_until=training.until,
    )


def _allowed(corpus: Artifact, restrictions: Restrictions, most: int) -> tuple[pa.Table, int]:
    """Return the first held-out documents all of whose posts may still be trained on.

    Second, how many documents were passed over because a post may not.
    """
    version, forgotten = corpus.manifest.metrics[LAKE_VERSION], 0
    batches, left = [], most
    for batch in read_documents(corpus, "validation", JUDGED_COLUMNS):
        may = np.array([_may(restrictions, row, version) for row in batch.to_pylist()], dtype=bool)
        places = np.flatnonzero(may)[:left]
        looked_at = places[-1] + 1 if len(places) == left else len(may)
        forgotten += int((~may[:looked_at]).sum())
        batches.append(batch.take(pa.array(places)))
        left -= len(places)
        if not left:
            break
    table = pa.Table.from_batches(batches)
    return table.filter(pc.greater(pc.binary_length(table["text"]), 0)), forgotten


def _may(restrictions: Restrictions, row: dict, version: int) -> bool:
    posts = zip(row["post_ids"], row["author_ids"], strict=True)
    return not any(restrictions.forbids("training", *post, version) for post in posts)


class _Training:
    """A record of what the judged documents have in common with the training documents.

    The training documents are shown to it in batches (`see`), so that they need not fit into
    memory.
    """

    def __init__(self, judged: pa.Table):
        self._texts = pa.chunked_array(judged["text"].chunks, pa.string())
        self._overlap = Overlap(_keys(self._texts.combine_chunks()))
        self._posts, self._authors = (_Lists(judged[name]) for name in ("post_ids", "author_ids"))
        self._holds_text = np.zeros(judged.num_rows, dtype=bool)
        self._hashes, self._sizes = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        self.until = datetime.min.replace(tzinfo=UTC)

    def see(self, batch: pa.RecordBatch) -> None:
        texts, created = batch.column("text"), pc.max(batch.column("created")).as_py()
        self._holds_text |= pc.is_in(self._texts, value_set=texts).to_numpy(zero_copy_only=False)
        self._posts.see(batch.column("post_ids"))
        self._authors.see(batch.column("author_ids"))
        self._overlap.see(_keys(texts))
        self._hashes.append(hash_ids(texts.to_pylist()))
        self._sizes.append(pc.binary_length(texts).to_numpy())
        self.until = max(self.until, created)

    def holds(self) -> np.ndarray:
        """Return bool (documents,): whether the text or any post of each is in training."""
        return self._holds_text | self._posts.any_seen()

    def knows_author(self) -> np.ndarray:
        """Return bool (documents,): whether any author of each has a document in training."""
        return self._authors.any_seen()

    def times(self) -> np.ndarray:
        """Return int64 (documents,): how often training has each text, or eight words of it."""
        return self._overlap.times()

    def bytes(self) -> int:
        """Return the bytes of all training texts, each counted once over all corpora."""
        _, first = np.unique(np.concatenate(self._hashes), return_index=True)
        return int(np.concatenate(self._sizes)[first].sum())


class _Lists:
    """A record of the ids in each judged document, and of which of them were seen in training."""

    def __init__(self, ids: pa.ChunkedArray):
        lists = ids.combine_chunks()
        self._ids, self._ends = lists.flatten(), np.cumsum(lists.value_lengths().to_numpy())
        self._seen = np.zeros(len(self._ids), dtype=bool)

    def see(self, ids: pa.ListArray) -> None:
        self._seen |= pc.is_in(self._ids, value_set=pc.unique(ids.flatten())).to_numpy(
            zero_copy_only=False
        )

    def any_seen(self) -> np.ndarray:
        """Return bool (documents,): whether any id of each was seen."""
        seen = np.concatenate([[0], np.cumsum(self._seen)])
        return seen[self._ends] > seen[np.concatenate([[0], self._ends[:-1]])]


def _keys(texts: pa.Array) -> pa.Array:
    """Return the normalised texts; a text without words is its own key."""
    keys = normalize.key(texts)
    return pc.if_else(pc.equal(keys, ""), texts, keys)


def _months(created: list[datetime], until: datetime) -> np.ndarray:
    return np.array([max(0, (time - until) // MONTH + 1) for time in created])
