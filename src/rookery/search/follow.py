"""Following: keeps the index current for as long as a process lives.

Posts and events are taken in as they arrive. Where another generation is wanted, it is filled
beside the one in force, which is kept current meanwhile, and takes over when it has caught up. A
full disk is waited for, and damaged files are made again.

Not here: what a generation takes in (`engine/filling.py`); who may write (`writing.py`).
"""

import contextlib
import time
from collections.abc import Callable
from datetime import datetime

from rookery.core.context import Clock, Context
from rookery.core.errors import BusyError
from rookery.core.home import Home
from rookery.core.protocols import Embedder
from rookery.search.build import COMMIT_SECONDS, LONG_COMMIT_SECONDS
from rookery.search.engine.filling import Filling
from rookery.search.engine.generation import (
    FORMAT,
    Generation,
    put_in_force,
    remove_others,
    wanted,
)
from rookery.search.engine.writer import GenerationWriter
from rookery.search.lag import DISK_FULL, tell_trouble
from rookery.search.writing import (
    UNUSABLE,
    in_force_or_none,
    is_disk_full,
    is_of_files_in,
    writer_of_wanted,
    writing,
)

_FOLLOWED_POSTS = 1_024  # at once, so that nobody waits for a long page
_LOOK_SECONDS = 2.0  # how often it is asked whether another generation is wanted
_RETRY_SECONDS = 1.0  # on a full disk


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
    with writing(home), contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
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
            except UNUSABLE as error:
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
        if is_disk_full(error):
            self._disk_was_full = True
            tell_trouble(self._home, DISK_FULL)
        elif not is_of_files_in(self._home.search, error):
            raise error
        self._stack.close()
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
        goal, writer = self._stack.enter_context(writer_of_wanted(self._home, embedder))
        self._open[goal] = Filling(self._home, writer, self._clock)

    def _open_in_force(self, goal: Generation) -> None:
        """Open the generation in force too, if another is wanted and this one can be written."""
        generation = in_force_or_none(self._home)
        if generation is None or generation == goal or generation.format != FORMAT:
            return
        embedder = self._earlier(generation.embedder)
        if embedder is None:
            return
        try:
            writer = GenerationWriter(generation.folder(self._home), embedder)
        except UNUSABLE as error:
            if is_disk_full(error):
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
            if not is_behind and is_last and in_force_or_none(self._home) != generation:
                self._take_over(generation)
        return is_busy

    def _is_long_ago(self, filling: Filling) -> bool:
        committed = filling.writer.cursor.committed
        if not committed:
            return True  # a first page is kept at once, and from then on the time is counted
        age = self._clock.now() - datetime.fromisoformat(committed)
        return age.total_seconds() >= LONG_COMMIT_SECONDS

    def _take_over(self, generation: Generation) -> None:
        put_in_force(self._home, generation)
        for other in [one for one in self._open if one != generation]:
            self._open.pop(other).writer.close()
        remove_others(self._home, [generation])
        tell_trouble(self._home, "")
