"""Stages: finished work is skipped, killed work goes on, two processes do not make the same
thing.
"""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from rookery.core import stage as stages
from rookery.core.context import Context, FixedClock
from rookery.core.errors import DataError, UsageError
from rookery.core.locks import exclusive
from rookery.core.runs import read_runs, record_run
from rookery.core.stage import Stage, remove_unfinished, run_stage

CONTEXT = Context(FixedClock())
STAGE = Stage("thing", 1, {"lines": 3}, {"lake": "lake@0"})


def write_lines(workspace):
    (workspace.path / "lines.txt").write_text("a line\n" * 3)
    workspace.tally.drop("too_short", 2)
    return {"lines": 3}


def test_a_finished_stage_is_not_made_again(home):
    made = run_stage(home, STAGE, write_lines, CONTEXT)
    again = run_stage(home, STAGE, lambda workspace: pytest.fail("made twice"), CONTEXT)
    assert again == made
    assert made.manifest.metrics == {"lines": 3}
    assert made.manifest.tally == {"kept": 0, "dropped": {"too_short": 2}}
    assert made.manifest.policy == "public"


@pytest.mark.parametrize(
    "other",
    [
        Stage("thing", 2, {"lines": 3}, {"lake": "lake@0"}),
        Stage("thing", 1, {"lines": 4}, {"lake": "lake@0"}),
        Stage("thing", 1, {"lines": 3}, {"lake": "lake@1"}),
    ],
)
def test_another_version_config_or_input_is_another_artifact(home, other):
    assert (
        run_stage(home, STAGE, write_lines, CONTEXT).path
        != run_stage(home, other, write_lines, CONTEXT).path
    )


def test_scratch_is_removed_and_notes_are_kept_out_of_the_digest(home, tmp_path):
    def make(note):
        def work(workspace):
            (workspace.scratch / "part").write_text("half")
            (workspace.notes / "seconds").write_text(note)
            return write_lines(workspace)

        return work

    made = run_stage(home, STAGE, make("3"), CONTEXT)
    assert not (made.path / "scratch").exists()
    assert made.file("notes/seconds").read_text() == "3"
    assert [f.path for f in made.manifest.files] == ["lines.txt"]


def test_a_kill_while_it_is_published_costs_a_stage_nothing_that_lies_in_its_scratch(
    home, monkeypatch
):
    def make(workspace):
        (workspace.scratch / "part").write_text("hours of work")
        return write_lines(workspace)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "write_manifest", killed)
    with pytest.raises(KeyboardInterrupt):
        run_stage(home, STAGE, make, CONTEXT)
    assert (STAGE.folder(home) / "scratch" / "part").read_text() == "hours of work"
    monkeypatch.undo()
    made = run_stage(home, STAGE, write_lines, CONTEXT)
    assert not (made.path / "scratch").exists()
    assert [f.path for f in made.manifest.files] == ["lines.txt"]


def test_scratch_that_a_kill_left_in_a_finished_artifact_goes_with_the_next_run_or_erasure(home):
    made = run_stage(home, STAGE, write_lines, CONTEXT)
    for remove in (
        lambda: run_stage(home, STAGE, write_lines, CONTEXT),
        lambda: remove_unfinished(home, "thing"),
    ):
        (made.path / "scratch").mkdir()
        (made.path / "scratch" / "part").write_text("the text of a post")
        remove()
        assert not (made.path / "scratch").exists()
        made.verify()


def test_a_stage_that_fails_is_no_artifact_and_its_reason_is_noted(home):
    def fail(workspace):
        raise DataError("the file is empty", where="x.csv")

    with pytest.raises(DataError):
        run_stage(home, STAGE, fail, CONTEXT)
    assert home.newest("thing") is None
    (attempt,) = read_runs(home)
    assert (attempt["state"], attempt["reason"]) == ("failed", "the file is empty (x.csv)")
    run_stage(home, STAGE, write_lines, CONTEXT)
    assert [a["state"] for a in read_runs(home)] == ["failed", "finished"]


def test_the_register_knows_the_compute_of_a_run_that_never_ended_and_the_key_does_not(home):
    known = replace(STAGE, flops=3e15)
    record_run(
        home, CONTEXT, {"kind": known.kind, "key": known.key, "event": "started", "flops": 3e15}
    )
    run_stage(home, known, write_lines, CONTEXT)
    assert [(a["state"], a["flops"]) for a in read_runs(home)] == [
        ("killed", 3e15),
        ("finished", 3e15),
    ]
    assert known.key == STAGE.key


def test_a_second_process_is_refused_with_a_clear_line(home):
    with (
        exclusive(home.artifacts / "thing" / f"{STAGE.key}.lock", "the thing"),
        pytest.raises(UsageError, match="another process is working on the thing"),
    ):
        run_stage(home, STAGE, write_lines, CONTEXT)


SLOW_STAGE = """
import sys, time
from pathlib import Path
from rookery.core.context import Context
from rookery.core.home import open_home
from rookery.core.artifact import write_atomically
from rookery.core.stage import Stage, run_stage

def make(workspace):
    for part in range(3):
        path = workspace.scratch / str(part)
        if not path.exists():
            write_atomically(path, str(part).encode())
            (workspace.path / f".lines.txt.99.part.tmp").write_bytes(b"as a kill leaves it")
            if sys.argv[2] == "hang" and part == 1:
                print("hanging", flush=True)
                time.sleep(60)
    parts = [(workspace.scratch / str(part)).read_bytes() for part in range(3)]
    write_atomically(workspace.path / "lines.txt", b"".join(parts))
    return {}

print(run_stage(open_home(Path(sys.argv[1])), Stage("slow", 1, {}, {}), make, Context()).digest)
"""


def start(home, how):
    return subprocess.Popen(
        [sys.executable, "-c", SLOW_STAGE, str(home.path), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_stage_goes_on_and_ends_as_the_undisturbed_one(home, tmp_path):
    from rookery.core.home import create_home

    undisturbed, _ = start(create_home(tmp_path / "other"), "go").communicate(timeout=60)
    process = start(home, "hang")
    assert process.stdout.readline() == "hanging\n"
    (attempt,) = read_runs(home)
    assert attempt["state"] == "running"
    second = start(home, "go")
    assert "another process is working on" in second.communicate(timeout=60)[1]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert home.newest("slow") is None
    (attempt,) = read_runs(home)
    assert attempt["state"] == "killed"
    resumed, errors = start(home, "go").communicate(timeout=60)
    assert (resumed, errors) == (undisturbed, "")
    assert [a["state"] for a in read_runs(home)] == ["killed", "finished"]
    home.newest("slow").verify()
    assert [f.path for f in home.newest("slow").manifest.files] == ["lines.txt"]


def test_the_register_survives_a_line_that_was_cut_off(home):
    record_run(home, CONTEXT, {"kind": "thing", "key": "k", "event": "started"})
    record_run(home, CONTEXT, {"kind": "thing", "key": "k", "event": "finished", "seconds": 2.0})
    with open(home.runs, "ab") as file:
        file.write('{"kind": "bücher'.encode()[:-6])
    assert [(a["state"], a["seconds"]) for a in read_runs(home)] == [("finished", 2.0)]
