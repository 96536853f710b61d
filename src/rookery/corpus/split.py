"""The split: posts for training, and later posts for validation.

A deployed model reads posts that are later than its training, so the split is by time. No thread is
on both sides; equal texts and near duplicates cannot be, since only the earliest post of each is
left. What the sides share all the same is measured on the finished documents and reported.

With a split by author as well, validation is later and by people who are not in training at all:
their earlier posts, and the later posts of all others, are dropped. Not here: where documents go
within a split (`assemble.py`).
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.corpus.mixture import chance
from rookery.corpus.normalize import spaced

THREAD_IN_TRAIN = "thread_in_train"
HELD_OUT_AUTHOR = "held_out_author"
AFTER_THE_CUT = "after_the_cut"

HELD_AUTHORS = 0.2  # the share of the authors that a split by author holds out
RUN_WORDS = 8


def cut(created: np.ndarray, share: float, limit: int) -> int:
    """Return how many of some posts, sorted by time, are for training.

    The last `share` is for validation, but at least 50 posts (or a fifth of a small lake) and at
    most `limit`. Posts of one moment stay on one side unless training would get less than half of
    all posts, or validation none.
    """
    posts = len(created)
    wanted = min(max(round(posts * share), min(50, posts // 5), 1), limit)
    place = posts - wanted
    after = int(np.searchsorted(created, created[place - 1], side="right"))
    before = int(np.searchsorted(created, created[place], side="left"))
    return next((p for p in (after, before) if posts / 2 <= p < posts), place)


def straddlers(root: np.ndarray, rows: np.ndarray, train_rows: int) -> np.ndarray:
    """Return the rows after the first `train_rows` whose thread has a post among the first."""
    later = rows[train_rows:]
    return later[np.isin(root[later], root[rows[:train_rows]])]


def held_out(author_hashes: np.ndarray, seed: int) -> np.ndarray:
    """Return bool (posts,): whether the author is held out, by the author's hash and the seed."""
    return chance(author_hashes, seed) < HELD_AUTHORS


def shared_authors(train: np.ndarray, validation: np.ndarray, starts: np.ndarray) -> int:
    """Count the validation documents of which an author is in training as well.

    train, validation: hashes of all posts' authors; starts (documents + 1,) into `validation`.
    """
    known = np.concatenate([[0], np.cumsum(np.isin(validation, train))])
    return int((known[starts[1:]] > known[starts[:-1]]).sum())


class Overlap:
    """The validation documents that occur in training: as a whole, or by a run of eight words.

    Documents are compared by their keys. In scripts that write no spaces a character is a word. The
    validation keys are held in memory, and training documents are shown as they pass.
    """

    def __init__(self, validation: pa.Array) -> None:
        self._keys = pc.unique(validation)
        self._key = pc.index_in(validation, value_set=self._keys).to_numpy(zero_copy_only=False)
        words = _words(validation)
        self._known_words = pc.unique(words.flatten())
        self._runs, self._owner = _runs(words, self._known_words)
        self._known = np.unique(self._runs)
        self._times_of_run = np.zeros(len(self._known), dtype=np.int64)
        self._times_of_key = np.zeros(len(self._keys), dtype=np.int64)

    def see(self, train: pa.Array) -> None:
        """Compare some training documents, given as keys, with validation."""
        places = pc.drop_null(pc.index_in(train, value_set=self._keys)).to_numpy()
        self._times_of_key += np.bincount(places, minlength=len(self._keys))
        if len(self._known):
            runs = _runs(_words(train), self._known_words)[0]
            place = np.minimum(np.searchsorted(self._known, runs), len(self._known) - 1)
            places = place[self._known[place] == runs]
            self._times_of_run += np.bincount(places, minlength=len(self._known))

    def seen(self) -> tuple[np.ndarray, np.ndarray]:
        """Return bool (documents,) twice: the whole key, and a run of it, occurs in training."""
        return self._times_of_key[self._key] > 0, self._times_of_runs() > 0

    def times(self) -> np.ndarray:
        """Return int64 (documents,): how often training holds the key or its most frequent run."""
        return np.maximum(self._times_of_key[self._key], self._times_of_runs())

    def _times_of_runs(self) -> np.ndarray:
        most = np.zeros(len(self._key), dtype=np.int64)
        times = self._times_of_run[np.searchsorted(self._known, self._runs)]
        np.maximum.at(most, self._owner, times)
        return most

    def counts(self) -> dict[str, int]:
        """Count the validation documents that occur in training, as a whole and by a run."""
        same_text, shares_run = self.seen()
        return {"same_text": int(same_text.sum()), "a_run_of_eight_words": int(shares_run.sum())}


def _words(keys: pa.Array) -> pa.ListArray:
    return pc.split_pattern(spaced(keys), " ")


def _runs(words: pa.ListArray, known: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return 64-bit hashes of all runs of eight known words in documents, and their documents."""
    owner = np.repeat(np.arange(len(words)), words.value_lengths().to_numpy())
    place = pc.fill_null(pc.index_in(words.flatten(), value_set=known), -1).to_numpy(
        zero_copy_only=False
    )
    code = np.random.default_rng(0).integers(1 << 64, size=len(known) + 1, dtype=np.uint64)[place]
    count = max(len(code) - RUN_WORDS + 1, 0)
    runs, whole = np.zeros(count, dtype=np.uint64), owner[:count] == owner[RUN_WORDS - 1 :]
    for shift in range(RUN_WORDS):
        runs = runs * np.uint64(0x9E3779B97F4A7C15) + code[shift : shift + count]
        whole &= place[shift : shift + count] >= 0
    return runs[whole], owner[:count][whole]
