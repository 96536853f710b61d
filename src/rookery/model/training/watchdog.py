"""The watchdog: a process beside each training process that ends the run when steps no longer end.

A process of its own can look on while the trainer is stopped or hangs in C. The trainer reports
what it does through a few bytes of shared memory (`Heartbeat`), and the watchdog looks at them ten
times a second. When no step has ended for too long (`StallDetector`), every watchdog of the run
writes what its process did last into one folder of the run's notes, the first one prints which
process is the cause (`stalled_ranks`), and only then does each kill its own trainer: a trainer that
loses another fails, and its watchdog ends with it. Starting again is the launcher's work
(`launch.py`, torchrun): it needs to see nothing but killed processes.

A process that is only slow is not killed but named (`slow_ranks`): it is always at work while the
others wait for it.

This module is free of torch, since its start costs each trainer's machine as much as it imports. It
works on Linux only; elsewhere nothing is watched. A run is watched from when it reads the state
that it goes on from to its last validation. Not here: how processes find each other
(`parallel/rendezvous.py`), and what is made of the finished weights (`finish.py`); neither is
watched.
"""

import faulthandler
import json
import mmap
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import IntEnum
from itertools import count
from pathlib import Path
from typing import Any

from rookery.core.context import Clock, SystemClock
from rookery.model.config import WatchConfig

LOOK_SECONDS = 0.1
# a longer gap between two looks is the watchdog's own: a machine that slept, a clock that jumped
LONGEST_LOOK_SECONDS = 1.0
LOOKS_A_QUESTION = 10  # looks until it asks whether another watchdog has found the run stalled
BEFORE = -1  # the step of a run that has not read its state yet
FIRST_STEP = 10  # reading the state and the first step may take so many times longer: compilers
PACES = 101  # looks at which steps had ended: the median step is over the last so many
# how long each waits for what the other watchdogs write, and then for the first one's line
GATHER_SECONDS = 10.0
STACK_SECONDS = 1.0
ENOUGH_LOOKS = 50  # fewer say nothing about a process's share of time
SLOW = 2.0  # at work so many times as much of the time as most others
STOPPED, WAITING = "stopped", "waiting"
STATES = {
    "R": "running",
    "S": WAITING,
    "D": "waiting for a disk",
    "T": STOPPED,
    "t": "held by a debugger",
}
STALLED_RANKS = "culprits.json"


class Activity(IntEnum):
    """The activities of a trainer before its first step, within a step and after the last."""

    RESTORING = 0
    READING = 1
    ASKING = 2
    LEARNING = 3
    SAVING = 4
    JUDGING = 5


class _Cell(IntEnum):
    """The places in the shared memory, eight bytes each: the trainer's, then the watchdog's."""

    STEP = 0
    DOING = 1
    LOOKS = 2
    BUSY = 3


class Heartbeat:
    """A trainer's current activity, in memory that it shares with its watchdog.

    cells: the shared memory; without it nothing is watched.
    """

    def __init__(self, cells: "list[int] | memoryview[int] | None" = None):
        self._cells = [0] * len(_Cell) if cells is None else cells
        self.reset()

    def __call__(self, step: int, doing: Activity) -> None:
        """Report what the trainer does, for the price of two assignments; each is atomic."""
        self._cells[_Cell.STEP], self._cells[_Cell.DOING] = step, doing

    def last(self) -> tuple[int, Activity]:
        """Return the step and the activity that the trainer reported last."""
        return self._cells[_Cell.STEP], Activity(self._cells[_Cell.DOING])

    def saw(self, state: str) -> None:
        """Count a look of the watchdog, which found the trainer's main thread in a state."""
        self._cells[_Cell.LOOKS] += 1
        self._cells[_Cell.BUSY] += state != WAITING

    def busy_share(self) -> float | None:
        """Return the share of looks since `reset` that found the trainer at work.

        None if they were fewer than `ENOUGH_LOOKS`.
        """
        busy, looks = (
            self._cells[cell] - self._cells_then[cell] for cell in (_Cell.BUSY, _Cell.LOOKS)
        )
        return busy / looks if looks >= ENOUGH_LOOKS else None

    def reset(self) -> None:
        """Begin to count looks again."""
        self._cells_then = list(self._cells)


class StallDetector:
    """The judgement whether steps still end, from looks at which step a trainer is.

    Only time that was watched counts, so that no jump of any clock makes a stall.
    """

    def __init__(self, config: WatchConfig, step: int, now_seconds: float):
        self._config, self._step, self._last_seconds = config, step, now_seconds
        self._paces: deque[float] = deque(maxlen=PACES)
        self.step_seconds = 0.0

    @property
    def limit_seconds(self) -> float:
        """Return how long a step may take."""
        if not self._paces:
            return FIRST_STEP * self._config.seconds
        return max(self._config.steps * statistics.median(self._paces), self._config.seconds)

    def is_over(self, now_seconds: float, step: int) -> bool:
        """Look once, when the trainer is at this step; return whether it has stalled."""
        self.step_seconds += min(max(0.0, now_seconds - self._last_seconds), LONGEST_LOOK_SECONDS)
        self._last_seconds = now_seconds
        if step > self._step:
            if self._step != BEFORE:
                self._paces.append(self.step_seconds / (step - self._step))
            self._step, self.step_seconds = step, 0.0
        return self.step_seconds > self.limit_seconds


@dataclass(frozen=True)
class LastSeen:
    """The last activity of a process in a stalled run; `seconds`: since its last step ended."""

    rank: int
    host: str
    pid: int
    step: int
    doing: str
    seconds: float
    state: str
    stack: str

    def line(self) -> str:
        """Return the process, its state and what it did, in words."""
        step = "" if self.step == BEFORE else f"step {self.step}, "
        return f"process {self.rank} ({self.state}, {step}{self.doing}, for {self.seconds:.0f} s)"


def stalled_ranks(seen: Sequence[LastSeen], processes: int) -> tuple[list[int], str]:
    """Return the ranks of the processes that caused a stall, and by which sign.

    All processes stall, since they wait for each other. The cause are those that are stopped; else
    those whose watchdog wrote nothing (their machine is lost); else those furthest behind; else
    those at work while others wait. A sign that fits all processes decides nothing.
    """
    if processes == 1:
        return [0], "alone"
    stopped = [one.rank for one in seen if one.state == STOPPED]
    silent = sorted(set(range(processes)) - {one.rank for one in seen})
    places = {one.rank: (one.step, Activity[one.doing.upper()]) for one in seen}
    behind = [rank for rank, place in places.items() if place == min(places.values())]
    at_work = [one.rank for one in seen if one.state != WAITING]
    for ranks, why in (
        (stopped, "stopped"),
        (silent, "without a sign"),
        (behind, "behind"),
        (at_work, "at work"),
    ):
        if 0 < len(ranks) < processes:
            return ranks, why
    return [one.rank for one in seen], "alike"


def slow_ranks(shares: Sequence[float]) -> list[int]:
    """Return the ranks of slow processes, from each one's share of time at work."""
    return [
        rank for rank, share in enumerate(shares) if share > SLOW * statistics.median_low(shares)
    ]


@dataclass(frozen=True)
class WatchTask:
    """The task of a watchdog: which process it watches, and where it writes if it must.

    steps, seconds: as in `WatchConfig`. memory, stack: file descriptors.
    """

    pid: int
    rank: int
    processes: int
    folder: str
    steps: int
    seconds: float
    memory: int
    stack: int


@contextmanager
def watched(
    config: WatchConfig | None, folder: Path, rank: int, processes: int
) -> Iterator[Heartbeat]:
    """Have this process watched while it trains; yield the heartbeat that it must update.

    folder: one for all processes of the run, which does not exist yet; if the run stalls, what each
    process did last is written there.
    """
    if config is None or sys.platform != "linux":
        yield Heartbeat()
        return
    memory, stack = os.memfd_create("rookery-beats"), os.memfd_create("rookery-stack")
    os.truncate(memory, mmap.PAGESIZE)
    cells = memoryview(mmap.mmap(memory, mmap.PAGESIZE)).cast("q")
    heartbeat = Heartbeat(cells)
    heartbeat(BEFORE, Activity.RESTORING)
    faulthandler.register(signal.SIGUSR1, stack)
    task = WatchTask(
        os.getpid(), rank, processes, str(folder), config.steps, config.seconds, memory, stack
    )
    watchdog = subprocess.Popen(
        [sys.executable, "-m", __name__, json.dumps(asdict(task))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(memory, stack),
        # signals that a terminal or a launcher sends to the trainer's group are not meant for it
        start_new_session=True,
    )
    try:
        yield heartbeat
    finally:
        watchdog.kill()
        watchdog.wait()
        faulthandler.unregister(signal.SIGUSR1)
        os.close(memory)
        os.close(stack)


def watch(task: WatchTask, clock: Clock) -> None:
    """Look on until the trainer ends, or end the run when it stalls."""
    heartbeat = Heartbeat(memoryview(mmap.mmap(task.memory, mmap.PAGESIZE)).cast("q"))
    stall = StallDetector(
        WatchConfig(task.steps, task.seconds), heartbeat.last()[0], clock.monotonic_seconds()
    )
    for look in count():
        if os.getppid() != task.pid:
            return
        heartbeat.saw(_state(task.pid))
        over = stall.is_over(clock.monotonic_seconds(), heartbeat.last()[0])
        if over or (look % LOOKS_A_QUESTION == 0 and Path(task.folder).exists()):
            break
        time.sleep(LOOK_SECONDS)
    _end_run(task, heartbeat, stall, clock)


def _end_run(task: WatchTask, heartbeat: Heartbeat, stall: StallDetector, clock: Clock) -> None:
    """Write what the trainer did last, let the first watchdog print the cause, kill the trainer."""
    step, doing = heartbeat.last()
    state, step_seconds = _state(task.pid), round(stall.step_seconds, 1)
    own = LastSeen(
        task.rank,
        socket.gethostname(),
        task.pid,
        step,
        doing.name.lower(),
        step_seconds,
        state,
        _stack(task),
    )
    folder = Path(task.folder)
    with suppress(OSError):  # a full disk must not keep a stalled run alive
        folder.mkdir(exist_ok=True)
        _write(folder / f"process-{task.rank:05d}.json", asdict(own))
    _wait(lambda: len(_written(folder)) == task.processes, clock)
    seen = [LastSeen(**json.loads(path.read_text())) for path in _written(folder)] or [own]
    if task.rank == seen[0].rank:
        _report(seen, task.processes, folder)
    else:
        _wait((folder / STALLED_RANKS).exists, clock)
    if os.getppid() == task.pid:
        os.kill(task.pid, signal.SIGKILL)


def _written(folder: Path) -> list[Path]:
    """Return the files that watchdogs wrote, by rank."""
    return sorted(folder.glob("process-*.json"))


def _wait(until: Callable[[], bool], clock: Clock) -> None:
    """Wait for other watchdogs, but not for ever: they may be lost with their machines."""
    ends = clock.monotonic_seconds() + GATHER_SECONDS
    while not until() and clock.monotonic_seconds() < ends:
        time.sleep(LOOK_SECONDS)


def _report(seen: Sequence[LastSeen], processes: int, folder: Path) -> None:
    """Print which processes caused a stall, and write it beside what each did last."""
    ranks, why = stalled_ranks(seen, processes)
    named = ", ".join(one.line() for one in seen if one.rank in ranks) or f"processes {ranks}"
    line = (
        f"rookery: no step ends any more, because of {named}. All processes are ended here and go "
        f"on from the newest saved state when they are started again; what each did last is in "
        f"{folder}"
    )
    print(line, file=sys.stderr, flush=True)  # noqa: T201
    with suppress(OSError):
        _write(folder / STALLED_RANKS, {"ranks": ranks, "why": why, "said": line})


def _write(path: Path, value: dict[str, Any]) -> None:
    """Write a file whole or not at all, as `core.artifact` does, which loads numpy."""
    unfinished = path.with_suffix(".part.tmp")
    unfinished.write_text(json.dumps(value, indent=1))
    unfinished.replace(path)


def _stack(task: WatchTask) -> str:
    """Return where in the code the trainer's threads are; empty if the process is stopped."""
    with suppress(ProcessLookupError):
        os.kill(task.pid, signal.SIGUSR1)
    time.sleep(STACK_SECONDS)
    return os.pread(task.stack, 1 << 16, 0).decode(errors="replace")


def _state(pid: int) -> str:
    """Return the state of a process's main thread at this moment."""
    try:
        letter = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        letter = "gone"
    return STATES.get(letter, letter)


if __name__ == "__main__":
    watch(WatchTask(**json.loads(sys.argv[1])), SystemClock())
