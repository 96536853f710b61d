"""The search index of a home: built from the posts' feed and the live log, and opened.

One process writes, and only one (`writing.py`): `build_index` until the index has caught up, or
`follow.follow_index` for as long as it lives. It reads the feed from where the last commit ended,
asks the gate about every post, and follows the log: what is forgotten or hidden is taken out, what
may be seen again comes back. If the embedder, the policy or the analysis has changed, or an erasure
asked for an index without leftovers, the next generation is filled beside the one in force and then
takes over (`engine/generation.py`).

The index is no artifact, since it changes: it can be made again from lake and log at any time. How
it is searched is in `search.py` and `answers/answer.py`.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from rookery.core.context import Clock, Context, SystemClock, Task
from rookery.core.digest import hash_ids
from rookery.core.errors import BusyError, DataError, UsageError
from rookery.core.home import Home, Policy
from rookery.core.locks import is_held, reading_posts
from rookery.core.protocols import Embedder
from rookery.posts import feed
from rookery.posts.lake import open_lake
from rookery.posts.live import live_log
from rookery.search.engine.column_files import map_columns, refused
from rookery.search.engine.filling import Filling
from rookery.search.engine.generation import (
    Generation,
    change_of,
    in_force,
    put_in_force,
    remove_others,
    wanted,
)
from rookery.search.engine.reader import Allowed, IndexReader, View
from rookery.search.engine.writer import COLUMNS
from rookery.search.lag import WRITER_LOCK, Lag, LagWatch, tell_trouble, told_trouble
from rookery.search.ranking.ranker import Weights, read_weights, shipped
from rookery.search.visible import CurrentGate
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


@dataclass(frozen=True)
class SearchIndex:
    """An open index, with all that a query needs: as a query sees it at one moment.

    `as_of_now` returns the same index at this moment.
    """

    home: Home
    view: View
    embedder: Embedder
    clock: Clock
    weights: Weights = field(compare=False, repr=False)
    opened: "OpenIndex" = field(compare=False, repr=False)

    def as_of_now(self, allowed: Allowed | None = None) -> "SearchIndex":
        """Return the newest commit, as if every post that is hidden by now had never been in it.

        allowed: the scope of whoever asks (`scope.scope_of`).
        """
        now = self.opened.now(self.home)
        return now if allowed is None else replace(now, view=replace(now.view, allowed=allowed))

    def lag(self) -> Lag | None:
        """Return that the index lacks what has arrived by now, and why; None if it does not."""
        return self.opened.lag()

    def is_of_now(self) -> bool:
        """Return whether no post can have been hidden since `as_of_now` returned this."""
        return self.opened.stands(self)


class OpenIndex:
    """The index of a home, whichever generation is in force; several threads may ask it."""

    def __init__(self, home: Home, embedder: Callable[[], Embedder], clock: Clock):
        """Open the index in force.

        Raises `UsageError` if there is none or it was made with another model.
        """
        self._home, self._new_embedder, self._clock = home, embedder, clock
        self._embedder, self._weights = embedder(), weights_of(home)
        self._gates: dict[Policy, CurrentGate] = {}
        self._watch = LagWatch(home, clock)
        self._named: tuple[object, Generation | None] = None, None
        self._open(_need_generation(home))

    def _open(self, generation: Generation) -> None:
        if generation.embedder != self._embedder.digest:
            self._embedder = self._new_embedder()
        if generation.embedder != self._embedder.digest:
            raise UsageError(
                "the search index was made with another model",
                where=self._home.search,
                hint="Run `rookery search index` again",
            )
        self._reader = IndexReader(generation.folder(self._home), generation.dimensions)
        self._generation, self._gates = generation, {}

    def _gate(self, policy: Policy) -> CurrentGate:
        if policy not in self._gates:
            self._gates[policy] = CurrentGate(self._generation.policy)
        return self._gates[policy]

    def now(self, home: Home) -> SearchIndex:
        """Return the index at this moment, under the settings of a home."""
        with contextlib.suppress(UsageError, DataError):  # what is open goes on
            generation = self._in_force()
            if generation is not None and generation != self._generation:
                self._open(generation)
        view = self._gate(home.settings.rights.policy).current(home, self._reader.view())
        return SearchIndex(home, view, self._embedder, self._clock, self._weights, self)

    def _in_force(self) -> Generation | None:
        """Return the generation in force; what names it is read when it has changed."""
        written = change_of(self._home)
        if written != self._named[0]:
            self._named = written, in_force(self._home)
        return self._named[1]

    def lag(self) -> Lag | None:
        """Return that the index lacks what has arrived, or None; looked at once a second."""
        return self._watch.lag(self._reader.view().cursor)

    def stands(self, index: SearchIndex) -> bool:
        """Return whether nothing that hides a post was written since an index was returned."""
        return self._gate(index.home.settings.rights.policy).stands(index.view)


def open_index(
    home: Home, embedder: Embedder | Callable[[], Embedder], clock: Clock | None = None
) -> SearchIndex:
    """Open the index in force.

    embedder: that of the index, or what returns the home's newest one, which a server asks again
    when another generation takes over. Raises `UsageError` if there is none or it was made with
    another model.
    """
    make = embedder if callable(embedder) else lambda: embedder
    return OpenIndex(home, make, clock or SystemClock()).now(home)


def weights_of(home: Home) -> Weights:
    """Return the weights by which a home ranks; raise `UsageError` if their file is absent."""
    named = home.settings.search.weights
    return read_weights(home.path / named) if named else shipped()


def _need_generation(home: Home) -> Generation:
    generation = in_force(home)
    if generation is None:
        raise UsageError(
            "there is no search index yet", where=home.path, hint="Run `rookery search index` first"
        )
    return generation


@dataclass(frozen=True)
class Held:
    """The posts whose words are in the files of an index, also those that it removed.

    ids, authors: hashes (`Columns`). dead: ordinals that were removed or edited. lake: the version
    of the lake as of which the others are.
    """

    ids: np.ndarray
    authors: np.ndarray
    dead: np.ndarray
    lake: int

    def has(self, post_id: str) -> bool:
        """Return whether a post is among them."""
        return bool((self.ids == hash_ids([post_id])[0]).any())


def held_by(home: Home) -> Held | None:
    """Return what the index in force holds, or None if there is none."""
    generation = in_force(home)
    if generation is None:
        return None
    folder = generation.folder(home)
    cursor = IndexReader(folder, generation.dimensions).view().cursor
    mapped = map_columns(folder / COLUMNS, generation.dimensions, cursor.extent)
    return Held(mapped.columns.ids, mapped.columns.authors, mapped.dead, cursor.lake)


def is_foreign(home: Home) -> bool:
    """Return whether there is an index that this release cannot read: it may hold any post."""
    try:
        in_force(home)
    except DataError:
        return True
    return False


def holds(home: Home, post_id: str) -> bool:
    """Return whether the files of the index hold a post, removed or not; False without an index."""
    held = held_by(home)
    return held is not None and held.has(post_id)


# Writing
# -------------------------------------------------------------------------------------------------


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
