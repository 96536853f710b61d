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
from pathlib import Path

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
    FORMAT,
    Generation,
    change_of,
    in_force,
    put_in_force,
    remove_others,
    want_anew,
    wanted,
)
from rookery.search.engine.reader import Allowed, IndexReader, View
from rookery.search.engine.writer import COLUMNS, GenerationWriter
from rookery.search.lag import (
    DAMAGED,
    DISK_FULL,
    WRITER_LOCK,
    Lag,
    LagWatch,
    tell_trouble,
    told_trouble,
)
from rookery.search.ranking.ranker import Weights, read_weights, shipped
from rookery.search.visible import CurrentGate

COMMIT_SECONDS = 0.1
"""How often what arrived is committed while there is anything."""
_LONG_COMMIT_SECONDS = 10.0  # while an index is being filled: few commits, few segments
_PAGE_POSTS = 8_192
_FOLLOWED_POSTS = 1_024  # at once by a follower, so that nobody waits for a long page
_LOOK_SECONDS = 2.0  # how often a follower asks whether another generation is wanted
_RETRY_SECONDS = 1.0  # on a full disk


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
    with _writer_of_wanted(home, embedder) as (goal, writer):
        filling = Filling(home, writer, context.clock)
        due = max(0, feed.latest(home) - filling.writer.cursor.feed)
        with context.progress.task("Posts", due, "posts") as task:
            changed = _catch_up(home, filling, context.clock, task)
    is_new = _in_force_or_none(home) != goal
    if is_new:
        put_in_force(home, goal)
    remove_others(home, [goal])
    if told_trouble(home):
        tell_trouble(home, "")
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
def _writer_of_wanted(
    home: Home, embedder: Embedder
) -> Iterator[tuple[Generation, GenerationWriter]]:
    """Open the generation that is wanted; one whose files are damaged is begun anew.

    If it is the one in force, another is begun beside it, since whoever has it open reads on.
    """
    goal = wanted(home, embedder)
    try:
        writer = GenerationWriter(goal.folder(home), embedder)
    except _UNUSABLE as error:
        if _is_disk_full(error):
            raise
        if _in_force_or_none(home) == goal:
            tell_trouble(home, DAMAGED)
            want_anew(home)
            goal = wanted(home, embedder)
        shutil.rmtree(goal.folder(home), ignore_errors=True)
        writer = GenerationWriter(goal.folder(home), embedder)
    try:
        yield goal, writer
    finally:
        writer.close()


_UNUSABLE = (DataError, OSError, ValueError, RuntimeError)
"""What files raise that are damaged, and what any file raises on a full disk."""


def _is_disk_full(error: BaseException) -> bool:
    return "No space left" in str(error)  # tantivy reports it only in the message


def _is_of_files_in(folder: Path, error: BaseException) -> bool:
    where = error.where if isinstance(error, DataError) else None
    return where is not None and Path(where).is_relative_to(folder)


@contextlib.contextmanager
def _writing(home: Home) -> Iterator[None]:
    """Be the one process that writes the index.

    Raises `BusyError` if another one does, `StorageError` if the disk is full.
    """
    with exclusive(home.search / WRITER_LOCK, "the search index"):
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            if not _is_disk_full(error):
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
    earlier: Callable[[str], Embedder | None] = lambda digest: None,
) -> None:
    """Keep the index current until `ended` says so or Ctrl-C is pressed.

    embedder: returns the home's newest one, and is asked now and then. A new one gets a generation
    of its own, which takes over when it has caught up. earlier: returns the embedder with a digest
    if there still is one, so that the generation in force is kept current meanwhile. On a full disk
    it waits for space. Raises `BusyError` if another process keeps the index current.
    """
    with _writing(home), contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        _Following(home, embedder, earlier, context.clock, stack).run(ended)


class _Following:
    """The generation that is kept current, and the one that is being filled to take over."""

    def __init__(
        self,
        home: Home,
        embedder: Callable[[], Embedder],
        earlier: Callable[[str], Embedder | None],
        clock: Clock,
        stack: contextlib.ExitStack,
    ):
        self._home, self._embedder, self._earlier = home, embedder, earlier
        self._clock, self._stack = clock, stack
        self._open: dict[Generation, Filling] = {}
        self._looked_seconds = float("-inf")
        self._disk_was_full = False

    def run(self, ended: Callable[[], bool]) -> None:
        """Take in what arrives, again and again; what keeps it from writing is noted."""
        tell_trouble(self._home, "")
        while not ended():
            began = self._clock.monotonic_seconds()
            try:
                is_busy = self._go_on(began)
            except _UNUSABLE as error:
                self._stop(error)
                time.sleep(_RETRY_SECONDS)
                continue
            if not is_busy:
                time.sleep(max(0.0, COMMIT_SECONDS + began - self._clock.monotonic_seconds()))

    def _go_on(self, now_seconds: float) -> bool:
        if now_seconds - self._looked_seconds >= _LOOK_SECONDS:
            self._look()
            self._looked_seconds = now_seconds
        is_busy = self._take_in()
        if self._disk_was_full and not any(one.is_ahead for one in self._open.values()):
            self._disk_was_full = False
            tell_trouble(self._home, "")
        return is_busy

    def _stop(self, error: Exception) -> None:
        """Close what is open, to open it again as of its last commit.

        Raises the error unless the disk is full or files of the index are damaged.
        """
        if _is_disk_full(error):
            self._disk_was_full = True
            tell_trouble(self._home, DISK_FULL)
        elif not _is_of_files_in(self._home.search, error):
            raise error
        for filling in self._open.values():
            filling.writer.close()
        self._open.clear()
        self._looked_seconds = float("-inf")

    def _look(self) -> None:
        """Open the generation that is wanted, beside the one in force."""
        embedder = self._embedder()
        goal = wanted(self._home, embedder)
        if goal in self._open:
            return
        if not self._open:
            self._open_in_force(goal)
        goal, writer = self._stack.enter_context(_writer_of_wanted(self._home, embedder))
        self._open[goal] = Filling(self._home, writer, self._clock)

    def _open_in_force(self, goal: Generation) -> None:
        """Open the generation in force too, if another is wanted and this one can be written."""
        generation = _in_force_or_none(self._home)
        if generation is None or generation == goal or generation.format != FORMAT:
            return
        embedder = self._earlier(generation.embedder)
        if embedder is None:
            return
        try:
            writer = GenerationWriter(generation.folder(self._home), embedder)
        except _UNUSABLE as error:
            if _is_disk_full(error):
                raise
            return  # it is damaged: it stays as it is until the other one takes over
        self._stack.callback(writer.close)
        self._open[generation] = Filling(self._home, writer, self._clock)

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
        tell_trouble(self._home, "")
