"""The watchdog, on real processes that stall; they train nothing, so each takes a second or two."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rookery.core.context import FixedClock
from rookery.core.errors import UsageError
from rookery.model.config import WatchConfig
from rookery.model.training.watchdog import (
    BEFORE,
    ENOUGH_LOOKS,
    FIRST_STEP,
    LONGEST_LOOK_SECONDS,
    STALLED_RANKS,
    STOPPED,
    WAITING,
    Activity,
    Heartbeat,
    LastSeen,
    StallDetector,
    slow_ranks,
    stalled_ranks,
)

TRAINER = """
import ctypes, os, select, signal, sys, time
from contextlib import suppress
from pathlib import Path
from rookery.model.config import WatchConfig
from rookery.model.training.watchdog import Activity, watched

def hang(how):
    while how == "at work": pass
    while how == "in C": ctypes.PyDLL(None).sleep(1000)  # holding Python's lock
    while how == "waiting": time.sleep(1000)
    if how == "stopped": os.kill(os.getpid(), signal.SIGSTOP)
    if how == "for the other":  # as over a network: this one fails when that one is gone
        select.select([os.pidfd_open(pid(1 - rank))], [], [])
        raise ConnectionError

def begun(rank):
    return Path(f"{folder}.{rank}.begun")

def pid(rank):
    while True:
        with suppress(FileNotFoundError, ValueError):
            return int(begun(rank).read_text())

folder, rank, count, how = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
with watched(WatchConfig(seconds=0.5), folder, rank, count) as heartbeat:
    for step in range(20):
        heartbeat(step, Activity.LEARNING)
        time.sleep(0.05)  # a second in all: the watchdog is there by then
    begun(rank).write_text(str(os.getpid()))
    hang(how)
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start a trainer that stalls after twenty steps, in a given way."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    script = tmp_path / "trainer.py"
    script.write_text(TRAINER)
    started: list[subprocess.Popen] = []

    def start(how: str, rank: int = 0, processes: int = 1) -> subprocess.Popen:
        words = [sys.executable, str(script), str(stall(tmp_path)), str(rank), str(processes), how]
        started.append(subprocess.Popen(words, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def stall(folder: Path) -> Path:
    return folder / "stall-0000"


def written(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(stall(folder).glob("process-*.json"))]


@pytest.mark.parametrize("how", ["in C", "stopped"])
def test_however_a_trainer_stands_still_it_is_named_and_killed(start, tmp_path, how):
    trainer = start(how)
    _, said = trainer.communicate(timeout=60)
    assert trainer.returncode == -signal.SIGKILL
    (line,) = said.splitlines()
    assert line.startswith("rookery: no step ends any more, because of process 0 (")
    assert "step 19, learning" in line
    assert "go on from the newest saved state" in line
    (last,) = written(tmp_path)
    assert (last["pid"], last["step"], last["doing"]) == (trainer.pid, 19, "learning")
    assert last["state"] == (STOPPED if how == "stopped" else WAITING)
    assert ("in hang" in last["stack"]) == (how != "stopped")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stopped", "at work"])
def test_of_two_that_stand_still_the_one_that_the_other_waits_for_is_named_and_both_are_killed(
    start, tmp_path, how
):
    waiting, other = start("waiting", 0, 2), start(how, 1, 2)
    said = [trainer.communicate(timeout=60)[1] for trainer in (waiting, other)]
    assert [waiting.returncode, other.returncode] == [-signal.SIGKILL] * 2
    assert "because of process 1 (" in said[0]
    assert said[1] == ""
    assert [last["rank"] for last in written(tmp_path)] == [0, 1]
    assert json.loads((stall(tmp_path) / STALLED_RANKS).read_text())["ranks"] == [1]


@pytest.mark.slow
def test_none_is_killed_before_the_first_has_said_whose_fault_it_is(start, tmp_path):
    waiting = start("for the other", 0, 2)
    wait_for((tmp_path / "stall-0000.0.begun").exists)
    other = start("stopped", 1, 2)  # so its watchdog is the last to write what it saw
    said = waiting.communicate(timeout=60)[1]
    assert waiting.returncode == -signal.SIGKILL, said
    assert "because of process 1 (stopped" in said
    other.communicate(timeout=60)
    assert json.loads((stall(tmp_path) / STALLED_RANKS).read_text())["ranks"] == [1]


def test_a_trainer_that_goes_on_is_left_alone_and_its_watchdog_ends_with_it(start, tmp_path):
    trainer = start("not at all")
    _, said = trainer.communicate(timeout=60)
    assert (trainer.returncode, said) == (0, "")
    assert not stall(tmp_path).exists()


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_a_watchdog_ends_when_its_trainer_is_killed(start, tmp_path, kill):
    trainer = start("waiting")
    (watchdog,) = wait_for(
        lambda: Path(f"/proc/{trainer.pid}/task/{trainer.pid}/children").read_text().split()
    )
    wait_for(lambda: Path(f"{stall(tmp_path)}.0.begun").exists())
    trainer.send_signal(kill)
    trainer.communicate(timeout=60)  # until nobody holds its standard error
    wait_for(lambda: not alive(watchdog))
    assert not stall(tmp_path).exists()


def alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text() != ""  # that of a zombie is empty
    except OSError:
        return False


def wait_for(found):
    ends = time.monotonic() + 20
    while not (value := found()):
        assert time.monotonic() < ends
        time.sleep(0.01)
    return value


def test_a_watchdog_loads_nothing_heavy():
    code = (
        "import sys, rookery.model.training.watchdog; sys.exit(bool({'torch', 'numpy', "
        "'pyarrow'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def looked(detector: StallDetector, clock, seconds: float, step: int, every: float = 0.1) -> bool:
    """Look on while the trainer stays at a step; return whether it has stalled by then."""
    for _ in range(round(seconds / every)):
        clock.elapsed_seconds += every
        if detector.is_over(clock.monotonic_seconds(), step):
            return True
    return False


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def detector(clock):
    """A detector that has seen a hundred steps of a second each."""
    detector = StallDetector(WatchConfig(steps=20, seconds=5.0), 0, clock.monotonic_seconds())
    for step in range(100):
        assert not looked(detector, clock, 1.0, step)
    return detector


def test_patience_is_so_many_median_steps(detector, clock):
    assert not looked(detector, clock, 19.0, 100)
    assert looked(detector, clock, 3.0, 100)


def test_one_long_step_is_no_measure_of_others(detector, clock):
    assert not looked(detector, clock, 18.0, 100)
    assert not looked(detector, clock, 18.0, 101)
    assert detector.limit_seconds == pytest.approx(20.0, rel=0.1)


def test_quick_steps_are_given_so_many_seconds_all_the_same(clock):
    detector = StallDetector(WatchConfig(steps=20, seconds=5.0), 0, 0.0)
    for step in range(100):
        assert not looked(detector, clock, 0.1, step)
    assert not looked(detector, clock, 4.8, 99)
    assert looked(detector, clock, 0.5, 99)


def test_the_first_step_may_take_longer(clock):
    detector = StallDetector(WatchConfig(steps=20, seconds=5.0), 7, 0.0)
    assert not looked(detector, clock, FIRST_STEP * 5.0 - 1, 7)
    assert looked(detector, clock, 2.0, 7)


def test_reading_a_state_is_no_step(clock):
    """A state that is read skips many steps; counted as quick ones, they would make the first step,
    with its compiler, too slow to live.
    """
    detector = StallDetector(WatchConfig(steps=20, seconds=5.0), BEFORE, 0.0)
    assert not looked(detector, clock, FIRST_STEP * 5.0 - 1, BEFORE)
    assert not looked(detector, clock, FIRST_STEP * 5.0 - 1, 500)
    assert looked(detector, clock, 2.0, 500)


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 1e9])
def test_a_clock_that_jumps_makes_no_stall_and_hides_none(detector, clock, jump):
    assert not looked(detector, clock, 10.0, 100)
    clock.elapsed_seconds += jump
    assert not looked(detector, clock, 0.1, 100)
    assert detector.step_seconds <= 10.0 + LONGEST_LOOK_SECONDS + 0.2
    assert looked(detector, clock, 11.0, 100)


def last_seen(rank: int, step: int = 5, doing: str = "learning", state: str = WAITING) -> LastSeen:
    return LastSeen(rank, "host", 100 + rank, step, doing, 9.0, state, "")


@pytest.mark.parametrize(
    ("seen", "named", "why"),
    [
        ([last_seen(0), last_seen(1, state=STOPPED), last_seen(2, 4)], [1], "stopped"),
        ([last_seen(0), last_seen(2)], [1], "without a sign"),
        ([last_seen(0), last_seen(1), last_seen(2, 4, "saving")], [2], "behind"),
        ([last_seen(0), last_seen(1, 5, "reading"), last_seen(2)], [1], "behind"),
        ([last_seen(0), last_seen(1), last_seen(2, state="waiting for a disk")], [2], "at work"),
        ([last_seen(0), last_seen(1), last_seen(2)], [0, 1, 2], "alike"),
        (
            [last_seen(0, state=STOPPED), last_seen(1, state=STOPPED), last_seen(2, state=STOPPED)],
            [0, 1, 2],
            "alike",
        ),
    ],
)
def test_whose_fault_it_is(seen, named, why):
    assert stalled_ranks(seen, 3) == (named, why)


@pytest.mark.parametrize(
    ("shares", "named"),
    [
        ([1.0], []),
        ([0.9, 1.0], []),
        ([0.3, 1.0], [1]),
        ([1.0, 0.4, 0.45, 0.42], [0]),
        ([0.0, 0.0], []),
    ],
)
def test_slow_is_who_is_at_work_while_most_wait(shares, named):
    assert slow_ranks(shares) == named


def test_of_a_share_nothing_is_said_before_there_were_enough_looks():
    heartbeat = Heartbeat()
    for look in range(ENOUGH_LOOKS):
        assert heartbeat.busy_share() is None
        heartbeat.saw(WAITING if look % 2 else STOPPED)
    assert heartbeat.busy_share() == 0.5
    heartbeat.reset()
    assert heartbeat.busy_share() is None


def test_what_a_trainer_says_is_what_its_watchdog_finds():
    cells = [0] * 4
    Heartbeat(cells)(7, Activity.SAVING)
    assert Heartbeat(cells).last() == (7, Activity.SAVING)


@pytest.mark.parametrize("settings", [{"steps": 0}, {"seconds": 0.0}, {"seconds": float("nan")}])
def test_patience_that_is_none_is_refused(settings):
    with pytest.raises(UsageError, match=r"watch\.steps .* and watch\.seconds .* must be positive"):
        WatchConfig(**settings)
