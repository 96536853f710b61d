"""The launcher: what happens to a run when one of its processes is killed or cannot go on."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
import tiny_run
from tiny_run import LONGER, gone_on_after, losses

from rookery.cli import processes as started
from rookery.core.artifact import open_artifact
from rookery.core.errors import DataError, RookeryError
from rookery.core.home import create_home
from rookery.core.runs import read_runs
from rookery.model.training.launch import launch, write_outcome

pytestmark = pytest.mark.slow

SCRIPT = """
import errno, os, sys, time
from rookery.cli.processes import OUTCOME, reporting_outcome, rank_from_environment
from rookery.core.errors import DataError
place = rank_from_environment(None)
with open(sys.argv[1], "a") as file:
    file.write(f"{place.rank}\\n")
with reporting_outcome(place):
    how = sys.argv[2 + place.rank] if sys.argv[3:] else sys.argv[2]
    if how == "refused":
        raise DataError("the corpus is gone", where="here", hint="Build it")
    if how == "full":
        raise OSError(errno.ENOSPC, "No space left on device")
    while sys.argv[3:] and not os.path.exists(os.environ[OUTCOME]):
        time.sleep(0.01)  # it ends because the other has reported
    sys.exit(int(how))
"""

KILLED_WHILE_IT_MAKES = """
import os, signal, sys
from pathlib import Path
from rookery.cli.processes import reporting_outcome, rank_from_environment
from rookery.core.artifact import open_artifact
from rookery.model.degrees import Degrees
from rookery.model.parallel.processes import joined
place, killed, artifact = rank_from_environment(None), Path(sys.argv[1]), Path(sys.argv[2])
def make():
    if not killed.exists():
        killed.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return open_artifact(artifact)
with reporting_outcome(place), joined(place, Degrees()) as processes:
    processes.barrier()
    assert processes.main_process_first(make).path == artifact
"""


KILLED_WHILE_IT_READS = """
import os, signal, sys
from contextlib import closing
from pathlib import Path
import torch
from rookery.cli.processes import reporting_outcome, rank_from_environment
from rookery.core.context import Context, SystemClock
from rookery.model.degrees import Degrees
from rookery.model.parallel.processes import joined
from rookery.model.training import states
place, killed, folder = rank_from_environment(None), Path(sys.argv[1]), Path(sys.argv[2])
plain = states.dcp.load
def load(*arguments, **named):
    if place.rank == 1 and not killed.exists():
        killed.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(*arguments, **named)
states.dcp.load = load
with reporting_outcome(place), joined(place, Degrees()) as processes:
    with closing(states.States(folder, processes, SystemClock(), Context().progress)) as kept:
        if processes.broadcast(not killed.exists()):
            kept.save(1, {"a": torch.ones(3)})
            kept.wait()
        found = {"a": torch.zeros(3)}
        assert kept.restore(found) == 1 and found["a"].sum() == 3
"""


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Set the environment as `rookery model train --processes` does; return the outcome's path."""
    monkeypatch.setenv(started.OUTCOME, str(tmp_path / "outcome.json"))
    monkeypatch.setenv(started.LAUNCHER, str(os.getpid()))
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    return tmp_path / "outcome.json"


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def test_a_process_that_is_killed_is_no_end_and_the_weights_are_the_same(environment, tmp_path):
    undisturbed, disturbed = (create_home(tmp_path / name) for name in ("undisturbed", "disturbed"))
    launch([tiny_run.__file__, str(undisturbed.path)], 2, 0, environment)
    killer = threading.Thread(target=_kill_the_second, args=(disturbed.path,))
    killer.start()
    launch([tiny_run.__file__, str(disturbed.path)], 2, 3, environment)
    killer.join()
    made, expected = disturbed.newest("checkpoint"), undisturbed.newest("checkpoint")
    assert made.digest == expected.digest
    assert losses(made) == losses(expected)
    states = [run["state"] for run in read_runs(disturbed) if run["kind"] == "checkpoint"]
    assert states[-1] == "finished"
    assert gone_on_after(undisturbed) == []
    assert (
        min(gone_on_after(disturbed)) >= 2 * LONGER.checkpoint_steps
    )  # the one after may still be in writing
    assert len(states) > 1


def test_the_first_killed_while_the_others_wait_for_what_it_makes_is_no_end(environment, tmp_path):
    script, killed = tmp_path / "script.py", tmp_path / "killed"
    script.write_text(KILLED_WHILE_IT_MAKES)
    artifact = tiny_run.make_tokenizer(create_home(tmp_path / "home")).path
    launch([str(script), str(killed), str(artifact)], 2, 3, environment)
    assert killed.exists()
    assert not environment.exists()


def test_one_killed_while_all_read_a_state_is_no_end(environment, tmp_path):
    script, killed = tmp_path / "script.py", tmp_path / "killed"
    script.write_text(KILLED_WHILE_IT_READS)
    (tmp_path / "states").mkdir()
    launch([str(script), str(killed), str(tmp_path / "states")], 2, 3, environment)
    assert killed.exists()
    assert not environment.exists()


def _kill_the_second(home: Path) -> None:
    """Kill the second process when some steps are done."""
    while not any(
        path.read_bytes().count(b"\n") > LONGER.checkpoint_steps * 3 for path in _metrics(home)
    ):
        time.sleep(0.01)
    os.kill(int((home / "pids").read_text().split()[1]), signal.SIGKILL)


def _metrics(home: Path) -> list[Path]:
    return list(home.glob("artifacts/checkpoint/*/notes/metrics.jsonl"))


def test_a_run_that_is_killed_again_and_again_is_given_up_with_one_clear_line(
    environment, script, tmp_path
):
    with pytest.raises(
        RookeryError, match=r"ended with exit code 7, after 1 restarts.*newest saved state"
    ):
        launch([str(script), str(tmp_path / "ranks"), "7"], 2, 1, environment)
    assert len((tmp_path / "ranks").read_text().split()) >= 3


def test_an_error_that_would_come_again_ends_the_run_at_once_with_its_line(
    environment, script, tmp_path
):
    with pytest.raises(RookeryError, match=r"^the corpus is gone \(here\)\. Build it$") as refused:
        launch([str(script), str(tmp_path / "ranks"), "refused"], 2, 3, environment)
    assert refused.value.exit_code == DataError.exit_code
    assert sorted((tmp_path / "ranks").read_text().split()) == ["0", "1"]


@pytest.mark.parametrize(
    ("how", "line"), [("refused", "the corpus is gone"), ("full", "the disk cannot be written")]
)
def test_what_one_has_told_is_said_though_the_other_ends_of_it_and_no_restart_is_left(
    environment, script, tmp_path, how, line
):
    with pytest.raises(RookeryError, match=line) as refused:
        launch([str(script), str(tmp_path / "ranks"), how, "7"], 2, 0, environment)
    assert refused.value.exit_code == DataError.exit_code


def test_the_first_processs_word_counts_before_that_of_others(tmp_path):
    outcome = tmp_path / "outcome.json"
    for what, is_first in (
        ("one fell over", False),
        ("the disk is full", True),
        ("two fell over", False),
    ):
        write_outcome(outcome, DataError(what), is_first)
    assert json.loads(outcome.read_text())["what"] == "the disk is full"


def test_no_process_is_left_over_when_the_launcher_is_killed(environment, tmp_path):
    home = create_home(tmp_path / "home").path
    code = (
        f"import os; os.environ['{started.LAUNCHER}'] = str(os.getpid());"
        f"from rookery.model.training.launch import launch; "
        f"launch({[tiny_run.__file__, str(home)]!r}, 2, 3, 'unused')"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as launcher:
        while not _metrics(home):
            time.sleep(0.05)
        launcher.kill()
    for pid in (home / "pids").read_text().split():
        _wait_for_end(int(pid))
    launch([tiny_run.__file__, str(home)], 2, 0, environment)  # and so the home is not taken
    assert open_artifact(next(home.glob("artifacts/checkpoint/*/manifest.json")).parent)


def test_a_process_whose_launcher_was_killed_while_it_started_ends_before_it_works(
    environment, script, tmp_path
):
    gone = {started.LAUNCHER: "1", "RANK": "0", "WORLD_SIZE": "2"}
    done = subprocess.run(
        [sys.executable, script, tmp_path / "ranks", "7"], env=os.environ | gone, timeout=60
    )
    assert done.returncode == 1


def test_a_run_leaves_no_temporary_files(environment, script, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    launch([str(script), str(tmp_path / "ranks"), "0"], 2, 0, environment)
    assert list((tmp_path / "temporary").iterdir()) == []


def _wait_for_end(pid: int) -> None:
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("a process is left over")
