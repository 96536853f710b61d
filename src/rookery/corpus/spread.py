"""Work spread over processes: by Daft's native runner on this machine, by Ray on a cluster.

The work is a function of one item that reads and writes files; items travel, data does not. On a
cluster every worker must therefore see the home at the same path (a shared folder) and have Rookery
installed. `rookery.toml` names the runner; Daft keeps the first one for the life of a process. Not
here: what the work is (`prepare.py`, `shards.py`).
"""

import gc
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any, TypeVar

import pyarrow as pa

from rookery.core.cluster import join_cluster
from rookery.core.errors import UsageError
from rookery.core.home import Cluster
from rookery.corpus.minhash import load_daft

T = TypeVar("T")
FEW = 2  # so many items are done in this process before others have started


def spread(work: Callable[[T], Any], items: Sequence[T], cluster: Cluster) -> Iterator[Any]:
    """Yield what `work` returns for each item, in the order of the items.

    A result comes as soon as it and those before it are done. `work` and the items are pickled.
    More than two items run in as many processes as there are cores; one or two run in this process,
    since they are done before others have started. Raises whatever the work raises.
    """
    if not items:
        return
    daft = load_daft()
    cores = _start(daft, cluster)
    column = {"place": list(range(len(items))), "item": [pickle.dumps(item) for item in items]}
    frame = daft.from_pydict(column)
    if cluster.runner == "ray":
        frame = frame.into_partitions(min(len(items), 4 * cores))
    processes = (
        {"use_process": True, "max_concurrency": min(cores, len(items))} if len(items) > FEW else {}
    )
    call = daft.cls(_called(daft), **(processes or {"use_process": False}))
    done = frame.with_column(
        "result", call(pickle.dumps(work), bool(processes)).run(frame["item"])
    ).select("place", "result")
    yield from _in_order(done.to_arrow_iter())


def _start(daft: ModuleType, cluster: Cluster) -> int:
    """Choose the runner, and return how many cores it has.

    Raises `UsageError` if the other runner has started in this process.
    """
    started = daft.runners.get_or_infer_runner_type
    if cluster.runner == "ray":
        ray = join_cluster(cluster.address)
        daft.set_runner_ray(noop_if_initialized=True)
        cores = int(ray.cluster_resources().get("CPU", 1))
    else:
        cores = os.cpu_count() or 1
    if started() != cluster.runner:
        raise UsageError(
            f"this process has begun with Daft's {started()} runner", hint="Start another process"
        )
    return max(1, cores)


def _called(daft: ModuleType) -> type:
    """Return a class for Daft, which makes it once in each process and calls it with columns."""

    class Call:
        def __init__(self, work: bytes, has_own_process: bool) -> None:
            if has_own_process:
                # A part makes many objects and no cycles; looking for cycles took 5% of the time.
                gc.disable()
            self.work = pickle.loads(work)

        @daft.method.batch(return_dtype=daft.DataType.binary(), batch_size=1)
        def run(self, items: Any) -> list[bytes]:
            return [
                pickle.dumps(_outcome(self.work, pickle.loads(item))) for item in items.to_pylist()
            ]

    return Call


def _outcome(work: Callable, item: Any) -> tuple[bool, Any]:
    """Return (True, result) or (False, error): Daft would replace a raised error by its own."""
    try:
        return True, work(item)
    except Exception as error:
        return False, error


def _in_order(batches: Iterable[pa.RecordBatch]) -> Iterator[Any]:
    waiting: dict[int, bytes] = {}
    sent = 0
    for batch in batches:
        waiting |= dict(zip(batch["place"].to_pylist(), batch["result"].to_pylist(), strict=True))
        while sent in waiting:
            succeeded, result = pickle.loads(waiting.pop(sent))
            if not succeeded:
                raise result
            yield result
            sent += 1
