"""Forgetting: when `forget` returns, a post is hidden everywhere and masked in later batches.

The live log makes it so: the event is durable before the function returns, and every reader asks
the log. The text itself still lies in the lake and in older artifacts until `erase.py` removes it.

Not here: what a network asks to forget in its own files (`compliance.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.context import Context
from rookery.core.home import Home
from rookery.posts.lake import find_lake
from rookery.posts.live import live_log


@dataclass(frozen=True)
class ForgetReport:
    """A count of what was forgotten: subjects new to the log, and the lake's posts they hide."""

    posts: int
    authors: int
    already_forgotten: int
    hidden_in_lake: int
    owed: str = (
        "`rookery posts erase`, which takes it out of every file; `rookery trace "
        "POST_ID` lists them"
    )


def forget(
    home: Home,
    post_ids: Sequence[str] = (),
    author_ids: Sequence[str] = (),
    context: Context = Context(),
    reason: str = "asked",
) -> ForgetReport:
    """Forget posts by id, and authors with all their posts; durable on return.

    The lake need not hold them.
    """
    with live_log(home) as log:
        posts = log.append("forget_post", post_ids, context.clock, reason)
        authors = log.append("forget_author", author_ids, context.clock, reason)
    known = len(set(post_ids)) + len(set(author_ids)) - posts - authors
    return ForgetReport(posts, authors, known, _count_in_lake(home, post_ids, author_ids))


def _count_in_lake(home: Home, post_ids: Sequence[str], author_ids: Sequence[str]) -> int:
    lake = find_lake(home)
    ids, authors = pa.array(post_ids, pa.string()), pa.array(author_ids, pa.string())
    named = pc.field("id").isin(ids) | pc.field("author").isin(authors)
    return lake.count(named) if lake else 0
