"""A watchdog beside each training process: it sees that steps no longer end, says who stands still,
and ends the run.

It is a process of its own, so that it looks on while the trainer is stopped or hangs in C. The
trainer tells it what it does through a few bytes of shared memory (`Heartbeat`); the watchdog looks ten
times a second. When no step has ended for too long (`StallDetector`), every watchdog of the run writes
what its process did last into one folder of the run's notes, the first says whose fault it is
(`stalled_ranks`), and only then does each kill its own trainer: a trainer that loses another fails, and
takes its watchdog with it. Starting again is the launcher's work (`launch.py`, torchrun): killed
processes are all it has to see.

A process that is only slow is not killed but named (`slow_ranks`): it is always at work while the others
wait for it.

Free of torch, for its start costs each trainer's machine as much as it imports. Linux only;
elsewhere nobody watches. Watched is a run from the state that it goes on from to its last judging:
not how processes find each other, nor what is made of the finished weights.
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
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import IntEnum
from itertools import count
from pathlib import Path
from typing import Any

from rookery.core.context import Clock, SystemClock
from rookery.model.config import WatchConfig

LOOK_SECONDS = 0.1
LONGEST_LOOK_SECONDS = (
    1.0  # a longer gap is one of the watchdog itself: a machine that slept, a clock that jumped
)
LOOKS_A_QUESTION = 10  # so often it looks whether another watchdog of the run has found it stalled
BEFORE = -1  # the step of a run that has not read its state yet
FIRST_STEP = 10  # so many times as long may that and the first step take: compilers, cold disks
PACES = 101  # the median is over so many looks at which steps had ended
GATHER_SECONDS = (
    10.0  # how long each waits for what the others write, and then for who speaks for all
)
STACK_SECONDS = 1.0
ENOUGH_LOOKS = 50  # before anything is said of a process's share of time
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
    """What a trainer does before its first step, within a step and after the last, in the order in
    which it does it.
    """

    RESTORING = 0
    READING = 1
    ASKING = 2
    LEARNING = 3
    SAVING = 4
    JUDGING = 5


class _Cell(IntEnum):
    """What lies where in the shared memory, eight bytes each: the trainer's, then the
    watchdog's.
    """

    STEP = 0
    DOING = 1
    LOOKS = 2
    BUSY = 3


class Heartbeat:
    """What a trainer does at this moment, seen from both sides. Without cells: nobody watches."""

    def __init__(self, cells: MutableSequence[int] | None = None):
        self._cells = [0] * len(_Cell) if cells is None else cells
        self.reset()

    def __call__(self, step: int, doing: Activity) -> None:
        """The trainer's word; each cell is stored at once, for the price of two assignments."""
        self._cells[_Cell.STEP], self._cells[_Cell.DOING] = step, doing

    def last(self) -> tuple[int, Activity]:
        return self._cells[_Cell.STEP], Activity(self._cells[_Cell.DOING])

    def saw(self, state: str) -> None:
        """The watchdog's word: how it found the trainer's main thread."""
        self._cells[_Cell.LOOKS] += 1
        self._cells[_Cell.BUSY] += state != WAITING

    def busy_share(self) -> float | None:
        """The share of looks since `reset` that found the trainer at work; None where they
        were too few.
        """
        busy, looks = (
            self._cells[cell] - self._cells_then[cell] for cell in (_Cell.BUSY, _Cell.LOOKS)
        )
        return busy / looks if looks >= ENOUGH_LOOKS else None

    def reset(self) -> None:
        self._cells_then = list(self._cells)


class StallDetector:
    """Whether steps still end, as one finds who looks again and again.

    Only time that was watched counts, so that no jump of any clock makes a stall.
    """

    def __init__(self, config: WatchConfig, step: int, now_seconds: float):
        self._config, self._step, self._last_seconds = config, step, now_seconds
        self._paces: deque[float] = deque(maxlen=PACES)
        self.stood_seconds = 0.0

    @property
    def limit_seconds(self) -> float:
        """For so long a step may not end."""
        if not self._paces:
            return FIRST_STEP * self._config.seconds
        return max(self._config.steps * statistics.median(self._paces), self._config.seconds)

    def is_over(self, now_seconds: float, step: int) -> bool:
        """Look once: the trainer is at this step now."""
        self.stood_seconds += min(max(0.0, now_seconds - self._last_seconds), LONGEST_LOOK_SECONDS)
        self._last_seconds = now_seconds
        if step > self._step:
            if self._step != BEFORE:
                self._paces.append(self.stood_seconds / (step - self._step))
            self._step, self.stood_seconds = step, 0.0
        return self.stood_seconds > self.limit_seconds


@dataclass(frozen=True)
class LastSeen:
    """What one process of a stalled run did last; `seconds`: since its last step ended."""

    rank: int
    host: str
    pid: int
    step: int
    doing: str
    seconds: float
    state: str
    stack: str

    def line(self) -> str:
        step = "" if self.step == BEFORE else f"step {self.step}, "
        return f"process {self.rank} ({self.state}, {step}{self.doing}, for {self.seconds:.0f} s)"


def stalled_ranks(seen: Sequence[LastSeen], processes: int) -> tuple[list[int], str]:
    """Whose fault a stall is, by rank, and how one knows.

    All stand still, for they wait for each other; so: who is stopped; else who gave no sign (its
    machine is gone); else who is furthest behind; else who is at work while others wait. Where
    these are all, none can be told from another.
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
    """Who is slow, by rank, from each process's share of time at work: the others wait for it."""
    return [
        rank for rank, share in enumerate(shares) if share > SLOW * statistics.median_low(shares)
    ]


@dataclass(frozen=True)
class WatchTask:
    """Which process a watchdog watches, and where it writes if it must. Memory and stack are open
    files' numbers.
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
    """Have this process watched while it trains; it says to what is yielded what it does.

    folder: one for all processes of the run, not there yet; where what each did last is written in
    a stall.
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
    duty = WatchTask(
        os.getpid(), rank, processes, str(folder), config.steps, config.seconds, memory, stack
    )
    # in a session of its own: what a terminal or a launcher sends to the trainer's group is not
    # meant for it
    watchdog = subprocess.Popen(
        [sys.executable, "-m", __name__, json.dumps(asdict(duty))],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(memory, stack), start_new_session=True,
    )  # fmt: skip
    try:
        yield heartbeat
    finally:
        watchdog.kill()
        watchdog.wait()
        faulthandler.unregister(signal.SIGUSR1)
        os.close(memory)
        os.close(stack)


def watch(duty: WatchTask, clock: Clock) -> None:
    """Look on until the trainer ends, or the run stands still."""
    heartbeat = Heartbeat(memoryview(mmap.mmap(duty.memory, mmap.PAGESIZE)).cast("q"))
    patience = StallDetector(
        WatchConfig(duty.steps, duty.seconds), heartbeat.last()[0], clock.monotonic_seconds()
    )
    for look in count():
        if os.getppid() != duty.pid:
            return
        heartbeat.saw(_state(duty.pid))
        over = patience.is_over(clock.monotonic_seconds(), heartbeat.last()[0])
        if over or (look % LOOKS_A_QUESTION == 0 and Path(duty.folder).exists()):
            break
        time.sleep(LOOK_SECONDS)
    _end_run(duty, heartbeat, patience, clock)


def _end_run(duty: WatchTask, heartbeat: Heartbeat, patience: StallDetector, clock: Clock) -> None:
    """Write what the trainer did last, let the first watchdog speak for all, and then kill the
    trainer.
    """
    step, doing = heartbeat.last()
    state, stood_seconds = _state(duty.pid), round(patience.stood_seconds, 1)
    own = LastSeen(
        duty.rank,
        socket.gethostname(),
        duty.pid,
        step,
        doing.name.lower(),
        stood_seconds,
        state,
        _stack(duty),
    )
    folder = Path(duty.folder)
    with suppress(OSError):  # a full disk must not keep a stalled run
        folder.mkdir(exist_ok=True)
        _write(folder / f"process-{duty.rank:05d}.json", asdict(own))
    _wait(lambda: len(_written(folder)) == duty.processes, clock)
    seen = [LastSeen(**json.loads(path.read_text())) for path in _written(folder)] or [own]
    if duty.rank == seen[0].rank:
        _say(seen, duty.processes, folder)
    else:
        _wait((folder / STALLED_RANKS).exists, clock)
    if os.getppid() == duty.pid:
        os.kill(duty.pid, signal.SIGKILL)


def _written(folder: Path) -> list[Path]:
    """What watchdogs wrote, by rank."""
    return sorted(folder.glob("process-*.json"))


def _wait(until: Callable[[], bool], clock: Clock) -> None:
    """For what other watchdogs write, which may be gone with their machines."""
    ends = clock.monotonic_seconds() + GATHER_SECONDS
    while not until() and clock.monotonic_seconds() < ends:
        time.sleep(LOOK_SECONDS)


def _say(seen: Sequence[LastSeen], processes: int, folder: Path) -> None:
    ranks, why = stalled_ranks(seen, processes)
    named = ", ".join(one.line() for one in seen if one.rank in ranks) or f"processes {ranks}"
    line = (
        f"rookery: no step ends any more, by the fault of {named}. All are ended here and go on "
        f"from the newest saved "
        f"state when they are started again; what each did last is in {folder}"
    )
    print(line, file=sys.stderr, flush=True)  # noqa: T201
    with suppress(OSError):
        _write(folder / STALLED_RANKS, {"ranks": ranks, "why": why, "said": line})


def _write(path: Path, value: dict[str, Any]) -> None:
    """Whole or not at all; `core.artifact` does so too, but loads numpy."""
    unfinished = path.with_suffix(".part.tmp")
    unfinished.write_text(json.dumps(value, indent=1))
    unfinished.replace(path)


def _stack(duty: WatchTask) -> str:
    """Where in the code the trainer's threads are; a process that is stopped does not answer."""
    with suppress(ProcessLookupError):
        os.kill(duty.pid, signal.SIGUSR1)
    time.sleep(STACK_SECONDS)
    return os.pread(duty.stack, 1 << 16, 0).decode(errors="replace")


def _state(pid: int) -> str:
    """How a process's main thread is at this moment."""
    try:
        letter = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        letter = "gone"
    return STATES.get(letter, letter)


if __name__ == "__main__":
    watch(WatchTask(**json.loads(sys.argv[1])), SystemClock())
