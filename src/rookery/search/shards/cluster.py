"""Shards on a Ray cluster: actors that read and write the parts of a split index.

Ray places the actors, starts one again that was killed, and carries questions and answers. Every
machine must see the home's folder. `search index --follow` starts a writer and a reader for each
shard; whoever searches asks these readers, or starts its own where nobody follows.

Not here: what a shard answers (`served.py`), what is made of it (`sharded.py`), and how a shard is
written (`../build.py`, `../follow.py`), which is the same as for an index that is not split.
"""

import contextlib
import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rookery.core.cluster import join_cluster
from rookery.core.context import Clock, Context, SystemClock
from rookery.core.digest import digest_value
from rookery.core.errors import BusyError, RookeryError
from rookery.core.home import Home
from rookery.core.protocols import Embedder
from rookery.search.build import IndexReport, build_index
from rookery.search.engine.shard import remove_other_layouts, shards_of
from rookery.search.follow import follow_index
from rookery.search.index import weights_of
from rookery.search.shards.served import ServedShard, ShardAnswer, ShardQuestion
from rookery.search.shards.sharded import ShardedIndex
from rookery.search.writing import in_force_or_none

Newest = Callable[[Home], Callable[[], Embedder]]
"""Returns for a home what returns its newest embedder. It travels: a function of a module."""
Earlier = Callable[[Home, str], Embedder | None]
"""Returns the embedder of a home with a digest, if there still is one. It travels, too."""

_NAMESPACE = "rookery"
_PATIENCE_SECONDS = 5.0  # with a shard that does not answer
_MISSED_SECONDS = 2.0  # for which it is told that a shard did not answer
_LOOK_SECONDS = 1.0
_THREADS = 8  # questions that a shard answers at once


def open_shards(home: Home, newest: Newest, clock: Clock | None = None) -> ShardedIndex:
    """Open the shards of a home's index on its cluster."""
    clock = clock or SystemClock()
    return ShardedIndex(home, RayShards(home, newest, clock), clock, weights_of(home))


class RayShards:
    """The shards of a home as actors (`sharded.AskedShards`); several threads may ask them."""

    def __init__(self, home: Home, newest: Newest, clock: Clock) -> None:
        self._ray = join_cluster(home.settings.search.address)
        self._homes, self._newest, self._clock = shards_of(home), newest, clock
        self._missed_seconds: dict[int, float] = {}
        self._lock = threading.Lock()
        self._actors = [self._reader(n) for n in range(len(self._homes))]
        self._down: dict[int, Any] = {}  # a question to each that did not answer, to see if it does

    @property
    def count(self) -> int:
        return len(self._homes)

    def ask(self, questions: Mapping[int, ShardQuestion]) -> dict[int, ShardAnswer | RookeryError]:
        asked = {
            n: self._actors[n].ask.remote(one) for n, one in questions.items() if self._is_up(n)
        }
        if not asked:
            return {}
        self._ray.wait(list(asked.values()), num_returns=len(asked), timeout=_PATIENCE_SECONDS)
        answers = {n: self._answer(n, ref) for n, ref in asked.items()}
        return {n: answer for n, answer in answers.items() if answer is not None}

    def missed(self) -> frozenset[int]:
        since = self._clock.monotonic_seconds() - _MISSED_SECONDS
        with self._lock:
            return frozenset(n for n, at in self._missed_seconds.items() if at >= since)

    def _answer(self, n: int, ref: Any) -> ShardAnswer | RookeryError | None:
        """Return an answer that has come; None from a shard that is gone, or busy for too long.

        Such a shard is down until it answers a question that nobody waits for. If its actor is
        gone for good, as with whoever started it, another is started.
        """
        errors = self._ray.exceptions
        try:
            answer: ShardAnswer | RookeryError = self._ray.get(ref, timeout=0)
            return answer
        except errors.ActorDiedError:
            self._actors[n] = self._reader(n)
        except (errors.ActorUnavailableError, errors.GetTimeoutError):
            pass
        with self._lock:
            self._down[n] = self._actors[n].ask.remote(ShardQuestion("lag"))
            self._missed_seconds[n] = self._clock.monotonic_seconds()
        return None

    def _is_up(self, n: int) -> bool:
        """Return whether a shard may be asked: it never failed, or has answered since."""
        with self._lock:
            ref = self._down.get(n)
        if ref is None:
            return True
        ready, _ = self._ray.wait([ref], timeout=0)
        if not ready or self._answer(n, ref) is None:
            return False
        with self._lock:
            self._down.pop(n, None)
        return True

    def _reader(self, n: int) -> Any:
        """Return the reader of a shard that whoever follows has started, or an own one."""
        try:
            return self._ray.get_actor(_name(self._homes[n]), _NAMESPACE)
        except ValueError:
            return _start_reader(self._ray, self._homes[n], self._newest)


def _name(home: Home) -> str:
    return f"shard-{digest_value([str(home.search.resolve())])[:16]}"


def _start_reader(ray: Any, home: Home, newest: Newest, **options: Any) -> Any:
    actor = ray.remote(ServedShard).options(
        max_restarts=-1,
        max_concurrency=_THREADS,
        num_cpus=0,  # it works only while it is asked
        scheduling_strategy="SPREAD",
        **options,
    )
    return actor.remote(home, _Newest(home, newest))


class _Newest:
    """What returns the newest embedder of a home, and makes it in the process where it is asked."""

    def __init__(self, home: Home, newest: Newest) -> None:
        self._home, self._newest = home, newest

    def __call__(self) -> Embedder:
        return self._made()

    @functools.cached_property
    def _made(self) -> Callable[[], Embedder]:
        return self._newest(self._home)


# Writing
# -------------------------------------------------------------------------------------------------


def build_on_cluster(home: Home, newest: Newest, context: Context) -> IndexReport:
    """Bring every shard of a home's index up to date, each as a task of the cluster."""
    ray, started_seconds = join_cluster(home.settings.search.address), _now(context)
    build = ray.remote(_build_one)
    with _own_errors(ray), context.progress.task("Shards", len(shards_of(home)), "shards") as task:
        waiting = [build.remote(one, newest) for one in shards_of(home)]
        reports: list[IndexReport] = []
        while waiting:
            (done,), waiting = ray.wait(waiting)
            reports.append(ray.get(done))
            task.advance(1)
    remove_other_layouts(home)
    return _added(reports, _now(context) - started_seconds)


def _now(context: Context) -> float:
    return context.clock.monotonic_seconds()


def _build_one(home: Home, newest: Newest) -> IndexReport:
    return build_index(home, newest(home)(), Context())


def _added(reports: list[IndexReport], seconds: float) -> IndexReport:
    dropped = sum((Counter(report.dropped) for report in reports), Counter[str]())
    return IndexReport(
        posts=sum(report.posts for report in reports),
        vectors=sum(report.vectors for report in reports),
        dimensions=reports[0].dimensions,
        dropped=dict(dropped.most_common()),
        seconds=round(seconds, 2),
        built=any(report.built for report in reports),
        feed=min(report.feed for report in reports),
        log_seq=min(report.log_seq for report in reports),
    )


class ShardWriter:
    """The one that keeps a shard current."""

    def __init__(self, home: Home, newest: Newest, earlier: Earlier) -> None:
        self._home, self._newest, self._earlier = home, newest, earlier

    def follow(self) -> None:
        """Keep the shard current for as long as the actor lives."""
        earlier = functools.partial(self._earlier, self._home)
        follow_index(self._home, self._newest(self._home), Context(), earlier=earlier)


def follow_on_cluster(
    home: Home, newest: Newest, earlier: Earlier, ended: Callable[[], bool] = lambda: False
) -> None:
    """Keep every shard current, and readable, until `ended` says so or Ctrl-C is pressed.

    Raises `BusyError` if another process keeps the index current.
    """
    ray, shards = join_cluster(home.settings.search.address), shards_of(home)
    readers = [_start_named(ray, one, newest) for one in shards]
    kept = ray.remote(ShardWriter).options(
        max_restarts=-1, num_cpus=0, scheduling_strategy="SPREAD"
    )
    writers = [kept.remote(one, newest, earlier) for one in shards]
    try:
        with contextlib.suppress(KeyboardInterrupt), _own_errors(ray):
            _follow(ray, home, writers, ended)
    finally:
        for actor in [*writers, *readers]:
            ray.kill(actor)


def _follow(ray: Any, home: Home, writers: list[Any], ended: Callable[[], bool]) -> None:
    following = {writer.follow.remote(): writer for writer in writers}
    is_settled = False
    while not ended():
        done, _ = ray.wait(list(following), timeout=_LOOK_SECONDS)
        for ref in done:
            writer = following.pop(ref)
            with contextlib.suppress(ray.exceptions.RayActorError):  # killed, and started again
                ray.get(ref)
            following[writer.follow.remote()] = writer
        if not is_settled and all(map(in_force_or_none, shards_of(home))):
            remove_other_layouts(home)
            is_settled = True


def _start_named(ray: Any, home: Home, newest: Newest) -> Any:
    """Start the reader of a shard that others find; its name is taken while another one follows."""
    try:
        return _start_reader(ray, home, newest, name=_name(home), namespace=_NAMESPACE)
    except ray.exceptions.ActorAlreadyExistsError:
        raise BusyError("another process keeps the search index current", where=home.path) from None


@contextlib.contextmanager
def _own_errors(ray: Any) -> Iterator[None]:
    """Raise an error that concerns the user as it was raised on the cluster."""
    try:
        yield
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, RookeryError):
            raise error.cause from None
        raise
