"""Erasing posts from the search index: the next generation is filled without them.

Nothing is cut out of an index: what was removed from it stays in its files, hidden. It can be
derived again from the lake at any time. Which posts must be erased is decided in `posts/erase.py`.
"""

import contextlib
from collections import Counter
from collections.abc import Callable

import numpy as np

from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.core.errors import BusyError
from rookery.core.home import Home
from rookery.core.protocols import Embedder
from rookery.posts.erase import Erased, ErasurePlan
from rookery.search.build import build_index, remove_leftovers
from rookery.search.engine.fields import author_key
from rookery.search.engine.generation import want_anew
from rookery.search.engine.shard import remove_other_layouts, shards_of
from rookery.search.held import held_by, is_foreign


def erase_from_index(
    home: Home, plan: ErasurePlan, embedder: Callable[[], Embedder], context: Context
) -> list[Erased]:
    """Fill an index anew if the one in force holds a post to erase, and remove what killed builds
    left; of an index in shards, each shard.

    An index that is split otherwise than the settings say is read by nobody, and removed.
    """
    erased: Counter[str] = Counter()
    for shard in shards_of(home):
        erased.update(_erase_from(shard, plan, embedder, context))
    if plan and remove_other_layouts(home):
        erased[_FOREIGN] += 1
    return [Erased("search index", count, what) for what, count in erased.items() if count]


_FOREIGN = "index of another release or split"


def _erase_from(
    home: Home, plan: ErasurePlan, embedder: Callable[[], Embedder], context: Context
) -> dict[str, int]:
    """Erase from one index or shard; return how much of what was erased."""
    if not home.search.exists():
        return {}
    if plan and is_foreign(home):
        build_index(home, embedder(), context)
        return {_FOREIGN: 1}
    if plan and held_by(home) is not None:
        build_index(home, embedder(), context)  # it has followed the log to its end then
    count = _held(home, plan)
    if count:
        want_anew(home)
        build_index(home, embedder(), context)
    with contextlib.suppress(BusyError):  # a follower removes them itself
        remove_leftovers(home)
    return {"posts": count}


def _held(home: Home, plan: ErasurePlan) -> int:
    """Count the posts in the files of the index in force that must be erased."""
    held = held_by(home)
    if held is None:
        return 0
    gone = np.isin(held.ids, hash_ids(plan.whole))
    gone |= np.isin(held.authors, hash_ids(map(author_key, plan.authors)))
    edited = np.isin(held.ids[held.dead], hash_ids(plan.restrictions.edited))
    gone[held.dead[edited]] = True
    return int(gone.sum())
