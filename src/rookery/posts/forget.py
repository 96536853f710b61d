"""Forgetting: when `forget` returns, a post is hidden everywhere and masked in later batches.

The live log makes it so: the event is durable before the function returns, and every reader asks
the log. The text itself still lies in the lake and in older artifacts until `erase.py` removes it.

Not here: what a network asks to forget in its own files (`compliance.py`).
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass

import pyarrow.compute as pc

from rookery.core.arrays import is_among
from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.core.home import Home
from rookery.posts.lake import find_lake
from rookery.posts.live import LiveLog, live_log
from rookery.posts.log.erasures import Erasures
from rookery.posts.permalinks import post_ids as resolved
from rookery.posts.streams.inbox import Inbox


@dataclass(frozen=True)
class ForgetReport:
    """A count of what was forgotten: subjects new to the log, and the lake's posts they hide.

    unknown: the ids that name no post here, and the authors of none; they are recorded too.
    """

    posts: int
    authors: int
    already_forgotten: int
    hidden_in_lake: int
    unknown: tuple[str, ...] = ()
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
    """Forget posts by id or permalink, and authors with all their posts; durable on return.

    The lake need not hold them. Raises `UsageError` for a blank name, and for a permalink from
    which the home cannot tell the post's id; then nothing is recorded.
    """
    posts = frozenset(resolved(home, post_ids))
    authors = frozenset(name.strip() for name in author_ids)
    if "" in authors:
        raise UsageError("an author is blank", hint="Give authors as the posts name them")
    with live_log(home) as log:
        new_posts = log.append("forget_post", posts, context.clock, reason)
        new_authors = log.append("forget_author", authors, context.clock, reason)
        met = _met_before(log, posts, authors)
    hidden, in_lake = _in_lake(home, posts, authors)
    return ForgetReport(
        new_posts,
        new_authors,
        len(posts) + len(authors) - new_posts - new_authors,
        hidden,
        tuple(sorted((posts | authors) - met - in_lake)),
    )


def _met_before(log: LiveLog, posts: frozenset[str], authors: frozenset[str]) -> Set[str]:
    """Return those posts and authors that wait for the lake or were in it until an erasure."""
    waiting, erasures = Inbox(log).authors(), Erasures(log)
    named = (posts & waiting.keys()) | (authors & set(waiting.values()))
    gone = log.numbers_among("forget_author", authors)
    return named | erasures.among(posts) | {name for name, n in gone.items() if erasures.has(n)}


def _in_lake(
    home: Home, posts: frozenset[str], authors: frozenset[str]
) -> tuple[int, frozenset[str]]:
    """Return how many posts of the lake are named, by id or by author, and which of the names."""
    lake = find_lake(home)
    hidden, found = 0, set()
    for batch in lake.batches(["id", "author"]) if lake else ():
        by_id, by_author = is_among(batch["id"], posts), is_among(batch["author"], authors)
        hidden += pc.sum(pc.or_(by_id, by_author)).as_py() or 0
        found.update(batch["id"].filter(by_id).to_pylist())
        found.update(batch["author"].filter(by_author).unique().to_pylist())
    return hidden, frozenset(found)
