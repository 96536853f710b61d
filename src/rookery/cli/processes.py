"""One command in many processes: who this one is, and starting the others.

A launcher tells each process its place by environment variables (RANK, WORLD_SIZE, LOCAL_RANK, as
torchrun, Ray and others set them). Where there are none, `--processes` starts the processes here.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rookery.core.artifact import write_atomically
from rookery.core.digest import digest_value
from rookery.core.errors import RookeryError, StorageError, UsageError

if TYPE_CHECKING:
    from rookery.core.home import Home
    from rookery.model.parallel.processes import Processes, ProcessRank

OUTCOME, LAUNCHER = "ROOKERY_OUTCOME", "ROOKERY_LAUNCHER"
SCALES = "scales"  # in the home


def rank_from_environment(processes: int | None) -> "ProcessRank | None":
    """This process's place as its launcher said; None where no launcher said anything.

    Raises `UsageError` if it says another number of processes than `--processes`.
    """
    from rookery.model.parallel.processes import ProcessRank

    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return None
    try:
        rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        place = ProcessRank(rank, count, int(os.environ.get("LOCAL_RANK", rank)))
    except ValueError:
        told = ", ".join(
            f"{name} {os.environ.get(name)!r}" for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        )
        raise UsageError(f"the launcher's numbers must be whole ones, not {told}") from None
    if processes not in (None, count):
        what = (
            f"--processes {processes} was asked for, and the launcher started {count} (WORLD_SIZE)"
        )
        raise UsageError(what, hint="Leave out --processes")
    return place


def start_processes(processes: int, restarts: int) -> None:
    """Run this very command in so many processes on this machine, and wait for them."""
    from rookery.model.training.launch import launch

    with tempfile.TemporaryDirectory(prefix="rookery-") as folder:
        outcome = Path(folder) / "outcome.json"
        os.environ[OUTCOME], os.environ[LAUNCHER] = str(outcome), str(os.getpid())
        # the launcher's store dies with its first process otherwise, and with it every restart
        os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
        try:
            launch(["-m", "rookery.cli.main", *sys.argv[1:]], processes, restarts, outcome)
        finally:
            del os.environ[OUTCOME], os.environ[LAUNCHER]


def scale_kept(
    home: "Home", processes: "Processes", asked: dict[str, Any], measure: Callable[[], float]
) -> float:
    """The scale that all processes measure together, and that whoever asks the same of this home
    later gets, too.
    """
    kept = home.path / SCALES / f"{digest_value(asked)[:16]}.json"
    known = json.loads(kept.read_text())["scale"] if processes.is_first and kept.exists() else None
    if (scale := processes.broadcast(known)) is None:
        scale = measure()
        if processes.is_first:
            kept.parent.mkdir(exist_ok=True)
            write_atomically(kept, json.dumps(asked | {"scale": scale}, indent=1).encode())
    return scale


@contextmanager
def reporting_outcome(place: "ProcessRank | None") -> Iterator[None]:
    """Under `start_processes`, an error ends the run for good: it is told to the launcher, which
    shows it.
    """
    if OUTCOME not in os.environ or place is None:
        yield
        return
    from rookery.model.training.launch import end_with_launcher, write_outcome

    outcome = Path(os.environ[OUTCOME])
    if outcome.exists():
        sys.exit(
            0
        )  # started again only because another process was still at work when the run ended
    end_with_launcher(int(os.environ[LAUNCHER]))
    try:
        yield
    except (RookeryError, OSError) as error:
        told = StorageError.of(error) if isinstance(error, OSError) else error
        if told is None:
            raise
        write_outcome(outcome, told, place.rank == 0)
        sys.exit(0)
