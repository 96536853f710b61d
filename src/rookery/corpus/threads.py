"""Threads: which post answers which, and posts in the order in which a reader follows them.

The parent of a post is the post that it answers; if it answers none, the post that it quotes; else
the first post of its conversation. So a quoted post is read before the comment on it. All arrays
are over posts sorted by time, and a parent is always an earlier post: a link that points forward
(clocks differ between servers) is not followed, so there are no cycles.

Not here: how a thread becomes a document (`assemble.py`, `gather.py`).
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from rookery.corpus.dedup import earliest

NONE = -1
THREAD_POSTS = 32  # the most posts of a document; a longer thread goes on in the next document


def parents(
    ids: np.ndarray, reply_to: np.ndarray, quote_of: np.ndarray, conversation: np.ndarray
) -> np.ndarray:
    """Return the place of each post's parent, or -1, as int64 (posts,).

    Ids are given as `hash_ids`, and a missing link as 0.
    """
    above = _earlier(_places(reply_to, ids))
    for other in (_places(quote_of, ids), _places(conversation, ids), _first_of_each(conversation)):
        above = np.where(above == NONE, _earlier(other), above)
    return above


def roots(parent: np.ndarray) -> np.ndarray:
    """Return the place of the first post of each post's thread, as int64 (posts,)."""
    # Pointer jumping: each round doubles the length of the steps upward.
    root = np.where(parent == NONE, np.arange(len(parent)), parent)
    while not np.array_equal(higher := root[root], root):
        root = higher
    return root


def reading_order(
    rows: np.ndarray, parent: np.ndarray, root: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the given posts thread by thread, and the places where documents start.

    In a thread each answer comes after the post that it answers. A document is a thread, or
    `THREAD_POSTS` posts of one.
    """
    sorted_rows = rows[np.argsort(root[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(root[sorted_rows], prepend=NONE))
    ends = np.append(starts[1:], len(sorted_rows))
    more = [np.empty(0, dtype=np.int64)]
    above = _nearest(parent, rows)
    for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
        sorted_rows[start:end] = list(_depth_first(sorted_rows[start:end].tolist(), above))
        more.append(np.arange(start + THREAD_POSTS, end, THREAD_POSTS))
    return sorted_rows, np.sort(np.concatenate([starts, *more]))


def _places(wanted: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return the first place of each wanted id, or -1."""
    places = np.full(len(wanted), NONE, dtype=np.int64)
    asked = np.flatnonzero(wanted)
    if len(asked):
        order = np.argsort(ids, kind="stable")
        found = order[np.minimum(np.searchsorted(ids, wanted[asked], sorter=order), len(ids) - 1)]
        places[asked] = np.where(ids[found] == wanted[asked], found, NONE)
    return places


def _first_of_each(conversation: np.ndarray) -> np.ndarray:
    """Return for each post the place of the first post of its conversation, or -1."""
    first = np.full(len(conversation), NONE, dtype=np.int64)
    named = np.flatnonzero(conversation)
    first[named] = named[earliest(conversation[named])]
    return first


def _earlier(places: np.ndarray) -> np.ndarray:
    return np.where(places < np.arange(len(places)), places, NONE)


def _nearest(parent: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return for each post the nearest post above it that is among `rows`, or -1."""
    absent = np.ones(len(parent) + 1, dtype=bool)  # the last place is NONE's
    absent[rows] = False
    absent[NONE] = False
    above = parent.copy()
    while (through := absent[above]).any():
        above[through] = parent[above[through]]
    return above


def _depth_first(members: list[int], above: np.ndarray) -> Iterator[int]:
    """Yield the posts of one thread, each followed by its answers, the earliest first."""
    answers = defaultdict(list)
    for member in members:
        answers[int(above[member])].append(member)
    waiting = answers[NONE][::-1]
    while waiting:
        post = waiting.pop()
        yield post
        waiting += answers[post][::-1]
