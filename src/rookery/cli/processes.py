"""One command in many processes: which rank this process has, and starting the others.

A launcher (torchrun, Ray and others) gives each process its rank by environment variables: RANK,
WORLD_SIZE, LOCAL_RANK. Where there are none, `--processes` starts the processes here. How processes
work together is in `model/parallel/`; restarts are in `model/training/launch.py`.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rookery.core.atomic import write_atomically
from rookery.core.digest import digest_value
from rookery.core.errors import RookeryError, StorageError, UsageError

if TYPE_CHECKING:
    from rookery.core.home import Home
    from rookery.model.parallel.processes import Processes, ProcessRank

OUTCOME, LAUNCHER = "ROOKERY_OUTCOME", "ROOKERY_LAUNCHER"
SCALES = "scales"  # in the home


def rank_from_environment(processes: int | None) -> "ProcessRank | None":
    """Return this process's rank as its launcher set it, or None where no launcher set one.

    Raises `UsageError` for variables that are no whole numbers, or if the launcher started another
    number of processes than `--processes` asks for.
    """
    from rookery.model.parallel.processes import ProcessRank

    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return None
    try:
        rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        place = ProcessRank(rank, count, int(os.environ.get("LOCAL_RANK", rank)))
    except ValueError:
        found = ", ".join(
            f"{name} {os.environ.get(name)!r}" for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        )
        raise UsageError(f"the launcher must set whole numbers, not {found}") from None
    if processes not in (None, count):
        raise UsageError(
            f"--processes is {processes}, but the launcher started {count} (WORLD_SIZE)",
            hint="Leave out --processes",
        )
    return place


def start_processes(processes: int, restarts: int) -> None:
    """Run this very command in several processes on this machine, and wait until they end.

    restarts: how often all processes are started again after one was killed.
    """
    from rookery.model.training.launch import launch

    with tempfile.TemporaryDirectory(prefix="rookery-") as folder:
        outcome = Path(folder) / "outcome.json"
        os.environ[OUTCOME], os.environ[LAUNCHER] = str(outcome), str(os.getpid())
        # otherwise the rendezvous store ends with the launcher's first process, and a restart fails
        os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
        try:
            launch(["-m", "rookery.cli.main", *sys.argv[1:]], processes, restarts, outcome)
        finally:
            del os.environ[OUTCOME], os.environ[LAUNCHER]


def stored_scale(
    home: "Home", processes: "Processes", request: dict[str, Any], measure: Callable[[], float]
) -> float:
    """Return the scale that the home stores for a request, or measure and store it.

    All processes measure together and get the same scale. request: what identifies the run; the
    same request later gets the same scale, so that a run that was stopped goes on.
    """
    file = home.path / SCALES / f"{digest_value(request)[:16]}.json"
    known = json.loads(file.read_text())["scale"] if processes.is_first and file.exists() else None
    scale = processes.broadcast(known)
    if scale is None:
        scale = measure()
        if processes.is_first:
            file.parent.mkdir(exist_ok=True)
            write_atomically(file, json.dumps(request | {"scale": scale}, indent=1).encode())
    return scale


@contextmanager
def reporting_outcome(place: "ProcessRank | None") -> Iterator[None]:
    """Report an error to the launcher of `start_processes`, which shows it and restarts nothing.

    Elsewhere errors pass through. A process that is started after the run has ended exits at once.
    """
    if OUTCOME not in os.environ or place is None:
        yield
        return
    from rookery.model.training.launch import end_with_launcher, write_outcome

    outcome = Path(os.environ[OUTCOME])
    if outcome.exists():
        # started again only because another process was still at work when the run ended
        sys.exit(0)
    end_with_launcher(int(os.environ[LAUNCHER]))
    try:
        yield
    except (RookeryError, OSError) as error:
        reported = StorageError.of(error) if isinstance(error, OSError) else error
        if reported is None:
            raise
        write_outcome(outcome, reported, place.rank == 0)
        sys.exit(0)
