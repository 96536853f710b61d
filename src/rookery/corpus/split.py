"""The split: what is learned from, and the later posts that it is judged by.

A split by time is what a deployed model meets. Split by author too, what is held out is later and by people
of whom nothing was learned: their earlier posts and the later ones of all others are dropped. No thread
stands on both sides; equal texts and near duplicates cannot, since of each only the earliest post is left.
How much is shared all the same is measured on the finished documents and stands in the report.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.corpus.mixture import chance

THREAD_IN_TRAIN = "thread_in_train"
HELD_OUT_AUTHOR = "held_out_author"
AFTER_THE_CUT = "after_the_cut"

HELD_AUTHORS = 0.2  # with a split by author too, the part of the authors that is held out
RUN_WORDS = 8
BATCH_TEXTS = 131_072


def cut(created: np.ndarray, share: float, limit: int) -> int:
    """How many of some posts, sorted by time, are for training; the rest is validation.

    The last `share`, but at least 50 (or a fifth of a small lake) and at most `limit`. Posts of one
    moment stay on one side as long as neither side loses half of all for it.
    """
    posts = len(created)
    wanted = min(max(round(posts * share), min(50, posts // 5), 1), limit)
    place = posts - wanted
    after = int(np.searchsorted(created, created[place - 1], side="right"))
    before = int(np.searchsorted(created, created[place], side="left"))
    return next((p for p in (after, before) if posts / 2 <= p < posts), place)


def straddlers(root: np.ndarray, rows: np.ndarray, train_rows: int) -> np.ndarray:
    """Of `rows` after the first `train_rows`, those whose thread has a post among the first."""
    later = rows[train_rows:]
    return later[np.isin(root[later], root[rows[:train_rows]])]


def held_out(author_hashes: np.ndarray, seed: int) -> np.ndarray:
    """bool (posts,): whether each post's author is held out, by chance of the author's hash alone."""
    return chance(author_hashes, seed) < HELD_AUTHORS


def shared_authors(train: np.ndarray, validation: np.ndarray, offsets: np.ndarray) -> int:
    """How many validation documents have an author who is learned from.

    train, validation: hashes of all posts' authors; offsets (documents + 1,) into `validation`.
    """
    known = np.concatenate([[0], np.cumsum(np.isin(validation, train))])
    return int((known[offsets[1:]] > known[offsets[:-1]]).sum())


def shared_text(train: pa.Array, validation: pa.Array) -> dict[str, int]:
    """How many validation documents occur in train, by their keys: whole, and by any run of eight words."""
    words = pc.unique(pc.split_pattern(validation, " ").flatten())
    runs, owner = _word_runs(validation, words)
    seen = np.zeros(len(runs), dtype=bool)
    for start in range(0, len(train), BATCH_TEXTS):
        seen |= np.isin(runs, _word_runs(train.slice(start, BATCH_TEXTS), words)[0])
    return {
        "same_text": int(pc.sum(pc.is_in(validation, value_set=train)).as_py() or 0),
        "a_run_of_eight_words": len(np.unique(owner[seen])),
    }


def _word_runs(keys: pa.Array, known: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """64-bit hashes of all runs of eight known words, and the document of each."""
    words = pc.split_pattern(keys, " ")
    owner = np.repeat(np.arange(len(keys)), words.value_lengths().to_numpy())
    place = pc.fill_null(pc.index_in(words.flatten(), value_set=known), -1).to_numpy(zero_copy_only=False)
    code = np.random.default_rng(0).integers(1 << 64, size=len(known) + 1, dtype=np.uint64)[place]
    count = max(len(code) - RUN_WORDS + 1, 0)
    runs, whole = np.zeros(count, dtype=np.uint64), owner[:count] == owner[RUN_WORDS - 1 :]
    for shift in range(RUN_WORDS):
        runs = runs * np.uint64(0x9E3779B97F4A7C15) + code[shift : shift + count]
        whole &= place[shift : shift + count] >= 0
    return runs[whole], owner[:count][whole]
