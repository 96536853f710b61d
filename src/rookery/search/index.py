"""The search index of a home: kept current from the posts' feed and the live log.

One process writes, and only one: `follow_index` for as long as it lives, or `build_index` until the
index has caught up. It reads the feed from where the last commit ended, asks the gate about every
post, and follows the log: what is forgotten or hidden is taken out, what may be seen again comes
back. If the embedder, the policy or the analysis has changed, or an erasure asked for an index
without leftovers, the next generation is filled beside the one in force and then takes over
(`engine/generation.py`).

The index is no artifact, since it changes: it can be made again from lake and log at any time. How
it is searched is in `search.py` and `answers/answer.py`.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from rookery.core.context import Clock, Context, SystemClock, Task
from rookery.core.digest import hash_ids
from rookery.core.errors import BusyError, DataError, StorageError, UsageError
from rookery.core.home import Home, Policy
from rookery.core.locks import exclusive, is_held, reading_posts
from rookery.core.protocols import Embedder
from rookery.posts import feed
from rookery.posts.lake import open_lake
from rookery.posts.live import live_log
from rookery.search.engine.column_files import map_columns, refused
from rookery.search.engine.filling import Filling
from rookery.search.engine.generation import (
    Generation,
    in_force,
    put_in_force,
    remove_others,
    wanted,
)
from rookery.search.engine.reader import Allowed, IndexReader, View
from rookery.search.engine.writer import COLUMNS, GenerationWriter
from rookery.search.ranking.ranker import Weights, read_weights, shipped
from rookery.search.visible import CurrentGate

WRITER_LOCK = "writer.lock"
COMMIT_SECONDS = 0.1
"""How often what arrived is committed while there is anything."""
_LONG_COMMIT_SECONDS = 10.0  # while an index is being filled: few commits, few segments
_PAGE_POSTS = 8_192
_FOLLOWED_POSTS = 1_024  # at once by a follower, so that nobody waits for a long page
_LOOK_SECONDS = 2.0  # how often a follower asks whether another generation is wanted


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
            generation = in_force(self._home)
            if generation is not None and generation != self._generation:
                self._open(generation)
        view = self._gate(home.settings.rights.policy).current(home, self._reader.view())
        return SearchIndex(home, view, self._embedder, self._clock, self._weights, self)

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
        with reading_posts(home), _writing(home):
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
    goal = wanted(home, embedder)
    with _opened(home, goal, embedder, context.clock) as filling:
        due = max(0, feed.latest(home) - filling.writer.cursor.feed)
        with context.progress.task("Posts", due, "posts") as task:
            changed = _catch_up(home, filling, context.clock, task)
    is_new = _in_force_or_none(home) != goal
    if is_new:
        put_in_force(home, goal)
    remove_others(home, [goal])
    return changed or is_new


def _catch_up(home: Home, filling: Filling, clock: Clock, task: Task) -> bool:
    """Take in all that feed and log hold by now; return whether there was anything."""
    committed = clock.monotonic_seconds()
    for page in feed.pages(home, filling.read_to, _PAGE_POSTS):
        filling.take(page)
        task.advance(page.rows.num_rows)
        if clock.monotonic_seconds() - committed >= _LONG_COMMIT_SECONDS:
            filling.commit()
            committed = clock.monotonic_seconds()
    changed = False
    while filling.step(_PAGE_POSTS) or filling.is_ahead:
        changed = True
        filling.commit()
    return changed


def _in_force_or_none(home: Home) -> Generation | None:
    try:
        return in_force(home)
    except DataError:  # of another release, or damaged: it is replaced
        return None


@contextlib.contextmanager
def _opened(
    home: Home, generation: Generation, embedder: Embedder, clock: Clock
) -> Iterator[Filling]:
    """Open a generation for filling; one whose files are damaged is begun anew."""
    folder = generation.folder(home)
    try:
        writer = GenerationWriter(folder, embedder)
    except (DataError, OSError, ValueError):
        shutil.rmtree(folder, ignore_errors=True)
        writer = GenerationWriter(folder, embedder)
    try:
        yield Filling(home, writer, clock)
    finally:
        writer.close()


@contextlib.contextmanager
def _writing(home: Home) -> Iterator[None]:
    """Be the one process that writes the index.

    Raises `BusyError` if another one does, `StorageError` if the disk is full.
    """
    with exclusive(home.search / WRITER_LOCK, "the search index"):
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            if "No space left" not in str(error):  # tantivy reports it only in the message
                raise
            raise StorageError(
                "the disk is full", where=home.search, hint="Free some space"
            ) from None


def remove_leftovers(home: Home) -> None:
    """Remove all generations but that in force; raise `BusyError` while another process writes."""
    with _writing(home):
        generation = _in_force_or_none(home)
        remove_others(home, [generation] if generation else [])


def _wait_for_follower(home: Home, embedder: Embedder, context: Context) -> bool:
    """Wait until the process that keeps the index current has come to what there is by now."""
    goal = wanted(home, embedder)
    with live_log(home) as log:
        posts, events = feed.latest(home), log.watermark()
    was_current = True
    context.progress.say("another process keeps the index current; waiting for it")
    while is_held(home.search / WRITER_LOCK):
        if _in_force_or_none(home) == goal:
            cursor = IndexReader(goal.folder(home), goal.dimensions).view().cursor
            if cursor.feed >= posts and cursor.log >= events:
                return not was_current
        was_current = False
        time.sleep(COMMIT_SECONDS)
    return build_index(home, embedder, context).built


def follow_index(
    home: Home,
    embedder: Callable[[], Embedder],
    context: Context,
    ended: Callable[[], bool] = lambda: False,
) -> None:
    """Keep the index current until `ended` says so or Ctrl-C is pressed.

    embedder: returns the home's newest one, and is asked now and then. A new one gets a generation
    of its own, which takes over when it has caught up. Raises `BusyError` if another process keeps
    the index current.
    """
    with _writing(home), contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        _Following(home, embedder, context.clock, stack).run(ended)


class _Following:
    """The generation that is kept current, and the one that is being filled to take over."""

    def __init__(
        self,
        home: Home,
        embedder: Callable[[], Embedder],
        clock: Clock,
        stack: contextlib.ExitStack,
    ):
        self._home, self._embedder, self._clock, self._stack = home, embedder, clock, stack
        self._open: dict[Generation, Filling] = {}
        self._looked_seconds = float("-inf")

    def run(self, ended: Callable[[], bool]) -> None:
        """Take in what arrives, again and again."""
        while not ended():
            began = self._clock.monotonic_seconds()
            if began - self._looked_seconds >= _LOOK_SECONDS:
                self._looked_seconds = began
                self._look()
            is_busy = self._take_in()
            if not is_busy:
                time.sleep(max(0.0, COMMIT_SECONDS + began - self._clock.monotonic_seconds()))

    def _look(self) -> None:
        """Open the generation that is wanted, beside the one in force."""
        embedder = self._embedder()
        goal = wanted(self._home, embedder)
        if goal not in self._open:
            filling = self._stack.enter_context(_opened(self._home, goal, embedder, self._clock))
            self._open[goal] = filling

    def _take_in(self) -> bool:
        """Take in one page for each generation; return whether one is still behind."""
        is_busy = False
        for generation, filling in list(self._open.items()):
            try:
                posts = filling.step(_FOLLOWED_POSTS)
            except BusyError:  # posts are being erased: what was to be read is read again
                continue
            is_behind = posts == _FOLLOWED_POSTS
            is_busy |= is_behind
            if filling.is_ahead and (not is_behind or self._is_long_ago(filling)):
                filling.commit()
            is_last = generation == list(self._open)[-1]
            if not is_behind and is_last and _in_force_or_none(self._home) != generation:
                self._take_over(generation)
        return is_busy

    def _is_long_ago(self, filling: Filling) -> bool:
        committed = filling.writer.cursor.committed
        if not committed:
            return filling.writer.cursor.extent.posts >= _PAGE_POSTS
        age = self._clock.now() - datetime.fromisoformat(committed)
        return age.total_seconds() >= _LONG_COMMIT_SECONDS

    def _take_over(self, generation: Generation) -> None:
        put_in_force(self._home, generation)
        for other in [one for one in self._open if one != generation]:
            self._open.pop(other).writer.close()
        remove_others(self._home, [generation])
