"""Threads: which post answers which, and posts in the order in which a reader follows them.

A post hangs under the post that it answers; one that answers none, under the post that it quotes;
else under the first one of its conversation. So a quoted post is read before what is said about it.
All arrays are over posts sorted by time, and a parent is always an earlier post: a link that points
forward (clocks differ between servers) is not followed, so there are no cycles.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from rookery.corpus.dedup import earliest

NONE = -1
THREAD_POSTS = 32  # a document ends here and the thread goes on in the next


def parents(
    ids: np.ndarray, reply_to: np.ndarray, quote_of: np.ndarray, conversation: np.ndarray
) -> np.ndarray:
    """int64 (posts,): the place of the post above, or -1. Ids are given as `hash_ids`, nothing as
    0.
    """
    above = _earlier(_places(reply_to, ids))
    for other in (_places(quote_of, ids), _places(conversation, ids), _first_of_each(conversation)):
        above = np.where(above == NONE, _earlier(other), above)
    return above


def roots(parent: np.ndarray) -> np.ndarray:
    """int64 (posts,): the place of each thread's first post, by pointer jumping."""
    root = np.where(parent == NONE, np.arange(len(parent)), parent)
    while not np.array_equal(higher := root[root], root):
        root = higher
    return root


def reading_order(
    rows: np.ndarray, parent: np.ndarray, root: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The given posts, thread by thread, each answer after what it answers; and where each document
    starts.

    A document is a thread, or `THREAD_POSTS` posts of one.
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
    """Where each wanted id stands first; -1 where it does not."""
    places = np.full(len(wanted), NONE, dtype=np.int64)
    asked = np.flatnonzero(wanted)
    if len(asked):
        order = np.argsort(ids, kind="stable")
        found = order[np.minimum(np.searchsorted(ids, wanted[asked], sorter=order), len(ids) - 1)]
        places[asked] = np.where(ids[found] == wanted[asked], found, NONE)
    return places


def _first_of_each(conversation: np.ndarray) -> np.ndarray:
    """For each post the place of its conversation's first post; -1 where there is no
    conversation.
    """
    first = np.full(len(conversation), NONE, dtype=np.int64)
    named = np.flatnonzero(conversation)
    first[named] = named[earliest(conversation[named])]
    return first


def _earlier(places: np.ndarray) -> np.ndarray:
    return np.where(places < np.arange(len(places)), places, NONE)


def _nearest(parent: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The nearest post above that is among `rows`."""
    gone = np.ones(len(parent) + 1, dtype=bool)
    gone[rows] = False
    gone[NONE] = False
    above = parent.copy()
    while (through := gone[above]).any():
        above[through] = parent[above[through]]
    return above


def _depth_first(members: list[int], above: np.ndarray) -> Iterator[int]:
    """The posts of one thread: each followed by its answers, the earliest first."""
    answers = defaultdict(list)
    for member in members:
        answers[int(above[member])].append(member)
    waiting = answers[NONE][::-1]
    while waiting:
        post = waiting.pop()
        yield post
        waiting += answers[post][::-1]
