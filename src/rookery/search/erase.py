"""Erasing posts from the search index: it is derived, so it is built anew when it holds one that
has to go.
"""

from collections.abc import Callable

import pyarrow.compute as pc

from rookery.core.context import Context
from rookery.core.home import Home
from rookery.core.locks import exclusive
from rookery.core.protocols import Embedder
from rookery.posts.erase import Erased, ErasurePlan
from rookery.posts.lake import version_in
from rookery.search.index import BUILD_LOCK, build_index, current_index, remove_others


def erase_index(
    home: Home, plan: ErasurePlan, embedder: Callable[[], Embedder], context: Context
) -> list[Erased]:
    """Build the index anew if it holds what has to go, and remove what is left of builds that were
    killed.
    """
    if not home.search.exists():
        return []
    count = _held(home, plan)
    if count:
        build_index(home, embedder(), context)
    with exclusive(home.search / BUILD_LOCK, "the search index"):
        remove_others(home)
    return [Erased("search index", count, "posts")] if count else []


def _held(home: Home, plan: ErasurePlan) -> int:
    """How many posts the index in force holds that have to go."""
    found = current_index(home)
    if found is None:
        return 0
    watermark, segment = found
    gone = plan.posts(version_in(watermark.lake))
    goes = (
        pc.or_(pc.is_in(rows["id"], gone), pc.is_in(rows["author"], plan.authors))
        for rows in segment.rows
    )
    return sum(pc.sum(rows).as_py() or 0 for rows in goes)
