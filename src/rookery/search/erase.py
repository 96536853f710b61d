"""Erasing posts from the search index: it is rebuilt if it holds a post that must be erased.

Nothing is cut out of an index, since it can be derived again from the lake at any time. Which posts
must be erased is decided in `posts/erase.py`.
"""

from collections.abc import Callable

import pyarrow.compute as pc

from rookery.core.arrays import is_among
from rookery.core.context import Context
from rookery.core.home import Home
from rookery.core.locks import exclusive
from rookery.core.protocols import Embedder
from rookery.posts.erase import Erased, ErasurePlan
from rookery.posts.lake import version_in
from rookery.search.index import BUILD_LOCK, build_index, current_index, remove_others


def erase_from_index(
    home: Home, plan: ErasurePlan, embedder: Callable[[], Embedder], context: Context
) -> list[Erased]:
    """Rebuild the index if it holds a post to erase, and remove the leftovers of killed builds."""
    if not home.search.exists():
        return []
    count = _held(home, plan)
    if count:
        build_index(home, embedder(), context)
    with exclusive(home.search / BUILD_LOCK, "the search index"):
        remove_others(home)
    return [Erased("search index", count, "posts")] if count else []


def _held(home: Home, plan: ErasurePlan) -> int:
    """Count the posts of the index in force that must be erased."""
    found = current_index(home)
    if found is None:
        return 0
    watermark, segment = found
    erased = plan.posts(version_in(watermark.lake))
    matches = (
        pc.or_(is_among(rows["id"], erased), is_among(rows["author"], plan.authors))
        for rows in segment.rows
    )
    return sum(pc.sum(rows).as_py() or 0 for rows in matches)
