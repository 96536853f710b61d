"""Work spread over processes: on this machine by Daft's native runner, on a cluster by Ray, with
the same code.

The work is a function of one item that reads and writes files; items travel, data does not. On a
cluster every worker must therefore see the home at the same path (a shared folder) and have Rookery
installed. `rookery.toml` says which runner; Daft keeps the first for the life of a process.
"""

import gc
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from rookery.core.errors import UsageError
from rookery.core.home import Cluster
from rookery.corpus.minhash import load_daft

T = TypeVar("T")
FEW = 2  # items


def spread(work: Callable[[T], Any], items: Sequence[T], cluster: Cluster) -> Iterator[Any]:
    """What `work` returns for each item, in the order of the items, as soon as it and those before
    are done.

    `work` and the items are pickled. More than two run in as many processes as there are cores; so
    few are done before those have started. Raises whatever the work raises.
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


def _start(daft, cluster: Cluster) -> int:
    """Choose the runner, and say how many cores it has. Raises `UsageError` if the other one runs
    already.
    """
    started = daft.runners.get_or_infer_runner_type
    if cluster.runner == "ray":
        import ray

        ray.init(
            address=cluster.address or None, ignore_reinit_error=True, runtime_env=_ENVIRONMENT
        )
        daft.set_runner_ray(noop_if_initialized=True)
        cores = int(ray.cluster_resources().get("CPU", 1))
    else:
        cores = os.cpu_count() or 1
    if started() != cluster.runner:
        raise UsageError(
            f"this process has begun with Daft's {started()} runner", hint="Start another process"
        )
    return max(1, cores)


_ENVIRONMENT = {"env_vars": {"DAFT_ANALYTICS_ENABLED": "0"}}


def _called(daft) -> type:
    """A class as Daft wants it: made once in each process, called with columns of items."""

    class Call:
        def __init__(self, work: bytes, has_own_process: bool):
            if has_own_process:
                # a part makes many objects and no cycles: looking for some took a twentieth of the
                # time
                gc.disable()
            self.work = pickle.loads(work)

        @daft.method.batch(return_dtype=daft.DataType.binary(), batch_size=1)
        def run(self, items):
            return [
                pickle.dumps(_outcome(self.work, pickle.loads(item))) for item in items.to_pylist()
            ]

    return Call


def _outcome(work: Callable, item: Any) -> tuple[bool, Any]:
    """An error travels as a value, since Daft would put its own in its place."""
    try:
        return True, work(item)
    except Exception as error:
        return False, error


def _in_order(batches) -> Iterator[Any]:
    waiting: dict[int, bytes] = {}
    sent = 0
    for batch in batches:
        waiting |= dict(zip(batch["place"].to_pylist(), batch["result"].to_pylist(), strict=True))
        while sent in waiting:
            went_well, result = pickle.loads(waiting.pop(sent))
            if not went_well:
                raise result
            yield result
            sent += 1
