"""Processes that train together: one is killed, stopped or slowed, or their data is cut."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_run
from tiny_run import LONGER, gone_on_after, losses

from rookery.cli.processes import LAUNCHER, OUTCOME
from rookery.core.artifact import Artifact
from rookery.core.context import SystemClock
from rookery.core.errors import DataError, PausedError, RookeryError
from rookery.core.home import Home, create_home, open_home
from rookery.core.pause import pause, resume
from rookery.core.runs import read_runs
from rookery.model.training.launch import launch

pytestmark = pytest.mark.slow
SURELY_SAVED = (
    2 * LONGER.checkpoint_steps
)  # when it is disturbed; the one after may still be in writing
PATIENCE_SECONDS = "10"  # longer than a busy disk takes for a state

STOPPED_OUTSIDE_OF_STEPS = """
import os, signal, sys
from pathlib import Path
from tiny_run import train_longer
from rookery.cli.processes import reporting_outcome, rank_from_environment
from rookery.core.home import open_home
from rookery.model.config import WatchConfig
from rookery.model.training.split import Split
from rookery.model.training.states import States
home, where, once = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
owner, name = {"restoring": (States, "restore"), "judging": (Split, "validation")}[where]
plain, place = getattr(owner, name), rank_from_environment(None)
def stops(*arguments):
    if place.rank == 1 and not once.exists():
        once.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    return plain(*arguments)
setattr(owner, name, stops)
with reporting_outcome(place):
    train_longer(open_home(home), place, WatchConfig(seconds=float(sys.argv[4])))
"""


@pytest.fixture(autouse=True)
def outcome(monkeypatch, tmp_path) -> Path:
    """Set the environment as `rookery model train --processes` does."""
    monkeypatch.setenv(OUTCOME, str(tmp_path / "outcome.json"))
    monkeypatch.setenv(LAUNCHER, str(os.getpid()))
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    return tmp_path / "outcome.json"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Artifact:
    home = create_home(tmp_path_factory.mktemp("undisturbed") / "home")
    with torchrun(home) as launcher:
        assert launcher.wait(timeout=200) == 0
    return home.newest("checkpoint")


def torchrun(home: Home, *options: str) -> subprocess.Popen:
    """Start training in two processes with torchrun, as a person would."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--rdzv-backend",
        "c10d",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", None)
    environment.pop(OUTCOME, None)
    endpoint = ("--rdzv-endpoint", "127.0.0.1:0")
    return subprocess.Popen(
        [*command, *endpoint, *options, tiny_run.__file__, str(home.path)], env=environment
    )


def trained_by_two(home: Home, outcome: Path, disturb: Callable[[Home], None]) -> None:
    """Train in two watched processes while `disturb` is at work from the thirteenth step on."""
    disturber = threading.Thread(target=lambda: [wait_for_steps(home), disturb(home)], daemon=True)
    disturber.start()
    launch([tiny_run.__file__, str(home.path), PATIENCE_SECONDS], 2, 3, outcome)
    disturber.join()


def wait_for_steps(home: Home) -> None:
    pattern = "artifacts/checkpoint/*/notes/metrics.jsonl"
    while not any(
        path.read_bytes().count(b"\n") > LONGER.checkpoint_steps * 3
        for path in home.path.glob(pattern)
    ):
        time.sleep(0.01)


def pids(home: Home) -> list[int]:
    """Return the process ids of all processes that were started so far."""
    return [int(line) for line in (home.path / "pids").read_text().split()]


def rank(pid: int) -> int:
    words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return int(dict(word.split(b"=", 1) for word in words if b"=" in word)[b"RANK"])


@pytest.mark.parametrize("victim", [0, 1])
def test_torchruns_own_restart_after_a_kill_goes_on_to_the_same_weights(home, undisturbed, victim):
    with torchrun(home, "--max-restarts", "1") as launcher:
        wait_for_steps(home)
        os.kill(next(pid for pid in pids(home) if rank(pid) == victim), signal.SIGKILL)
        assert launcher.wait(timeout=200) == 0
    assert home.newest("checkpoint").digest == undisturbed.digest
    assert min(gone_on_after(home)) >= SURELY_SAVED
    # the other one may notice, and say so, before it is ended
    first, second = (run["state"] for run in read_runs(home) if run["kind"] == "checkpoint")
    assert first in ("killed", "failed")
    assert second == "finished"


@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=pytest.mark.soak)])
def test_one_of_two_that_is_stopped_is_named_and_all_go_on_to_the_same_weights(
    home, outcome, undisturbed, victim, capfd
):
    def stop(home: Home) -> None:
        os.kill(next(pid for pid in pids(home) if rank(pid) == victim), signal.SIGSTOP)

    trained_by_two(home, outcome, stop)
    made = home.newest("checkpoint")
    assert made.digest == undisturbed.digest
    assert losses(made) == losses(undisturbed)
    assert min(gone_on_after(home)) >= SURELY_SAVED
    (told,) = made.path.glob("notes/stall-*/culprits.json")
    assert json.loads(told.read_text())["ranks"] == [victim]
    assert f"because of process {victim} (stopped, step " in capfd.readouterr().err
    waited, last = (
        json.loads((told.parent / f"process-0000{n}.json").read_text())
        for n in (1 - victim, victim)
    )
    assert (waited["state"], last["state"]) == ("waiting", "stopped")
    assert "in _take_steps" in waited["stack"]
    assert [run["state"] for run in read_runs(home) if run["kind"] == "checkpoint"] == [
        "killed",
        "finished",
    ]
    assert len(pids(home)) == 4


@pytest.mark.parametrize("where", ["restoring", "judging"])
def test_one_that_is_stopped_before_the_first_step_or_after_the_last_is_named_too(
    home, outcome, undisturbed, tmp_path, where
):
    script, once = tmp_path / "script.py", tmp_path / "once"
    script.write_text(STOPPED_OUTSIDE_OF_STEPS)
    launch([str(script), str(home.path), where, str(once), PATIENCE_SECONDS], 2, 3, outcome)
    assert once.exists()
    assert home.newest("checkpoint").digest == undisturbed.digest
    (told,) = home.newest("checkpoint").path.glob("notes/stall-*/culprits.json")
    assert json.loads(told.read_text())["ranks"] == [1]
    assert json.loads((told.parent / "process-00001.json").read_text())["doing"] == where


def test_one_of_two_that_is_slowed_is_named_and_not_killed(home, outcome, undisturbed):
    def slow_down(home: Home) -> None:
        pid = next(pid for pid in pids(home) if rank(pid) == 1)
        try:
            while home.newest("checkpoint") is None:
                for act, seconds in ((signal.SIGSTOP, 0.4), (signal.SIGCONT, 0.1)):
                    os.kill(pid, act)
                    time.sleep(seconds)
        except ProcessLookupError:
            pass

    trained_by_two(home, outcome, slow_down)
    assert home.newest("checkpoint").digest == undisturbed.digest
    named = [line for line in (home.path / "said").read_text().splitlines() if " is slow: " in line]
    assert named
    assert all(line.startswith("Process 1 is slow: at work ") for line in named)
    assert len(pids(home)) == 2


def test_a_pause_stops_both_at_one_step_and_they_go_on_to_the_same_weights(
    home, outcome, undisturbed
):
    with pytest.raises(RookeryError, match="an outage") as stopped:
        trained_by_two(home, outcome, lambda home: pause(home, "an outage", SystemClock()))
    assert stopped.value.exit_code == PausedError.exit_code
    newest = max(state.name for state in home.path.glob("artifacts/checkpoint/*/scratch/step-*"))
    resume(home)
    outcome.unlink()
    launch([tiny_run.__file__, str(home.path)], 2, 0, outcome)
    assert (
        f"Going on after step {int(newest.removeprefix('step-'))}."
        in (home.path / "said").read_text()
    )
    assert home.newest("checkpoint").digest == undisturbed.digest
    assert [run["state"] for run in read_runs(home) if run["kind"] == "checkpoint"] == [
        "paused",
        "finished",
    ]


def test_one_process_without_a_launcher_ends_with_one_line_and_a_rerun_goes_on(home):
    command = [sys.executable, tiny_run.__file__, str(home.path)]
    with subprocess.Popen([*command, "1"], stderr=subprocess.PIPE, text=True) as process:
        wait_for_steps(home)
        process.send_signal(signal.SIGSTOP)
        said = process.stderr.read()
    assert process.returncode == -signal.SIGKILL
    (line,) = said.splitlines()
    assert line.startswith("rookery: no step ends any more, because of process 0 (stopped, step ")
    subprocess.run(command, check=True, timeout=200)
    # the state after step 12 may still have been in writing
    assert re.search(r"Going on after step (8|12)\.", (home.path / "said").read_text())
    assert [run["state"] for run in read_runs(home) if run["kind"] == "checkpoint"] == [
        "killed",
        "finished",
    ]


def test_a_shard_that_is_cut_while_training_ends_the_run_with_its_name(home, outcome):
    def cut(home: Home) -> None:
        os.truncate(home.newest("shards").file("train.tokens"), 0)

    with pytest.raises(
        RookeryError, match=r"a file of a finished artifact has changed \(.*train\.tokens\)"
    ) as refused:
        trained_by_two(home, outcome, cut)
    assert refused.value.exit_code == DataError.exit_code
    assert open_home(home.path).newest("checkpoint") is None
