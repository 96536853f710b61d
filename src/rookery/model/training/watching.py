"""The watchdogs of a whole run: where they write, and which process is reported as slow.

Not here: how one process is watched, and what happens when steps no longer end (`watchdog.py`).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from rookery.model.config import WatchConfig
from rookery.model.training.run import Run
from rookery.model.training.watchdog import Heartbeat, slow_ranks, watched


def watched_run(
    watch: WatchConfig | None, run: Run, notes: Path
) -> AbstractContextManager[Heartbeat]:
    """Return a block in which this process is watched, with the heartbeat that it must update.

    Stalls of a run are numbered alike in all of its processes.
    """
    place = run.processes.place
    number = run.processes.broadcast(len(list(notes.glob("stall-*"))))
    return watched(watch, notes / f"stall-{number:04d}", place.rank, place.count)


def say_who_is_slow(run: Run, heartbeat: Heartbeat, step: int, say: Callable[[str], None]) -> None:
    """Print a line for each process that works while most of the others wait for it.

    Nothing is printed before every process's watchdog has looked often enough.
    """
    shares = run.processes.all_gather(heartbeat.busy_share())
    if None in shares:
        return
    heartbeat.reset()
    for rank in slow_ranks(shares):
        say(
            f"Process {rank} is slow: at work {shares[rank]:.0%} of the time before step {step}, "
            "others wait for it."
        )
