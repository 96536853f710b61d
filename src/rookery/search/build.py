"""Building: brings the search index of a home up to date with the posts' feed and the live log.

One process writes, and only one (`writing.py`): `build_index` until the index has caught up, or
`follow.follow_index` for as long as it lives. It reads the feed from where the last commit ended,
asks the gate about every post, and follows the log: what is forgotten or hidden is taken out, what
may be seen again comes back. If the embedder, the policy or the analysis has changed, or an erasure
asked for an index without leftovers, the next generation is filled beside the one in force and then
takes over (`engine/generation.py`).

The index is no artifact, since it changes: it can be made again from lake and log at any time. How
it is opened is in `index.py`.
"""

import time
from dataclasses import dataclass

from rookery.core.context import Clock, Context, Task
from rookery.core.errors import BusyError
from rookery.core.home import Home
from rookery.core.locks import is_held, reading_posts
from rookery.core.protocols import Embedder
from rookery.posts import feed
from rookery.posts.lake import open_lake
from rookery.posts.live import live_log
from rookery.search.engine.column_files import refused
from rookery.search.engine.filling import Filling
from rookery.search.engine.generation import Generation, put_in_force, remove_others, wanted
from rookery.search.engine.reader import IndexReader
from rookery.search.engine.writer import COLUMNS
from rookery.search.lag import WRITER_LOCK, tell_trouble, told_trouble
from rookery.search.writing import in_force_or_none, writer_of_wanted, writing

COMMIT_SECONDS = 0.1
"""How often what arrived is committed while there is anything."""
LONG_COMMIT_SECONDS = 10.0
"""The same while an index is being filled: few commits, few segments."""
PAGE_POSTS = 8_192
"""How many posts are taken in at once while an index is being filled."""


@dataclass(frozen=True)
class IndexReport:
    """The result of a build; `built` is False if the index was up to date already."""

    posts: int
    vectors: int
    dimensions: int
    dropped: dict[str, int]
    seconds: float
    built: bool
    feed: int
    log_seq: int


def build_index(home: Home, embedder: Embedder, context: Context) -> IndexReport:
    """Bring the index up to date with every post that may be searched, and with this embedder.

    Where another process keeps the index current, this waits for it. Raises `UsageError` if there
    are no posts.
    """
    started_seconds = context.clock.monotonic_seconds()
    if not feed.latest(home):
        open_lake(home)  # raises, since nothing ever came
    try:
        with reading_posts(home), writing(home):
            built = _filled(home, embedder, context)
    except BusyError:
        if not is_held(home.search / WRITER_LOCK):
            raise
        built = _wait_for_follower(home, embedder, context)
    generation = wanted(home, embedder)
    return _report(home, generation, built, context.clock.monotonic_seconds() - started_seconds)


def _report(home: Home, generation: Generation, built: bool, seconds: float) -> IndexReport:
    folder = generation.folder(home)
    cursor = IndexReader(folder, generation.dimensions).view().cursor
    numbers = refused(folder / COLUMNS, cursor.extent)
    dropped = {why: int(numbers[n]) for n, why in enumerate(cursor.reasons, 1) if numbers[n]}
    return IndexReport(
        posts=cursor.posts,
        vectors=cursor.posts,
        dimensions=generation.dimensions,
        dropped=dict(sorted(dropped.items(), key=lambda one: (-one[1], one[0]))),
        seconds=round(seconds, 2),
        built=built,
        feed=cursor.feed,
        log_seq=cursor.log,
    )


def _filled(home: Home, embedder: Embedder, context: Context) -> bool:
    """Fill the wanted generation until it is current; return whether there was anything to do."""
    with writer_of_wanted(home, embedder) as (goal, writer):
        filling = Filling(home, writer, context.clock)
        due = max(0, feed.latest(home) - filling.writer.cursor.feed)
        with context.progress.task("Posts", due, "posts") as task:
            changed = _catch_up(home, filling, context.clock, task)
    is_new = in_force_or_none(home) != goal
    if is_new:
        put_in_force(home, goal)
    remove_others(home, [goal])
    if told_trouble(home):
        tell_trouble(home, "")
    return changed or is_new


def _catch_up(home: Home, filling: Filling, clock: Clock, task: Task) -> bool:
    """Take in all that feed and log hold by now; return whether there was anything."""
    committed = clock.monotonic_seconds()
    for page in feed.pages(home, filling.read_to, PAGE_POSTS):
        filling.take(page)
        task.advance(page.rows.num_rows)
        if clock.monotonic_seconds() - committed >= LONG_COMMIT_SECONDS:
            filling.commit()
            committed = clock.monotonic_seconds()
    changed = False
    while filling.step(PAGE_POSTS) or filling.is_ahead:
        changed = True
        filling.commit()
    return changed


def _wait_for_follower(home: Home, embedder: Embedder, context: Context) -> bool:
    """Wait until the process that keeps the index current has come to what there is by now."""
    goal = wanted(home, embedder)
    with live_log(home) as log:
        posts, events = feed.latest(home), log.watermark()
    was_current = True
    context.progress.say("another process keeps the index current; waiting for it")
    while is_held(home.search / WRITER_LOCK):
        if in_force_or_none(home) == goal:
            cursor = IndexReader(goal.folder(home), goal.dimensions).view().cursor
            if cursor.feed >= posts and cursor.log >= events:
                return not was_current
        was_current = False
        time.sleep(COMMIT_SECONDS)
    return build_index(home, embedder, context).built


def remove_leftovers(home: Home) -> None:
    """Remove all generations but that in force; raise `BusyError` while another process writes."""
    with writing(home):
        generation = in_force_or_none(home)
        remove_others(home, [generation] if generation else [])
