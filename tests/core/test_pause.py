"""A paused home: nothing begins, what is finished stays at hand, and a resume lets all go on."""

import subprocess
import sys

import pytest

from rookery.core.context import Context, FixedClock
from rookery.core.errors import DataError, PausedError
from rookery.core.pause import pause, paused, refuse_if_paused, resume
from rookery.core.runs import read_runs
from rookery.core.stage import Stage, run_stage

CLOCK = FixedClock()
STAGE = Stage("thing", 1, {}, {})


def test_a_paused_home_refuses_new_runs_and_says_since_when_and_why(home):
    pause(home, "a deletion is under way", CLOCK)
    with pytest.raises(
        PausedError,
        match=r"paused since 2026-01-01 00:00 UTC: a deletion is under way .*fleet resume",
    ):
        run_stage(home, STAGE, lambda workspace: pytest.fail("begun"), Context(CLOCK))
    assert read_runs(home) == []


def test_what_is_finished_is_still_found_while_paused(home):
    made = run_stage(home, STAGE, lambda workspace: {}, Context(CLOCK))
    pause(home, "", CLOCK)
    assert (
        run_stage(home, STAGE, lambda workspace: pytest.fail("made twice"), Context(CLOCK)) == made
    )


def test_a_run_that_is_stopped_is_paused_in_the_register_and_goes_on(home):
    def stops(workspace):
        pause(home, "", CLOCK)
        refuse_if_paused(home)

    with pytest.raises(PausedError):
        run_stage(home, STAGE, stops, Context(CLOCK))
    assert resume(home)
    run_stage(home, STAGE, lambda workspace: {}, Context(CLOCK))
    assert [attempt["state"] for attempt in read_runs(home)] == ["paused", "finished"]


def test_the_first_reason_stands_and_a_second_resume_has_nothing_to_do(home):
    pause(home, "first", CLOCK)
    assert pause(home, "second", CLOCK).reason == "first"
    assert (resume(home), resume(home), paused(home)) == (True, False, None)


def test_a_pause_that_cannot_be_read_holds_all_the_same(home):
    (home.path / "paused.json").write_text("{")
    with pytest.raises(DataError, match=r"cannot be read.*fleet resume"):
        refuse_if_paused(home)


def test_another_process_is_refused_with_one_line_and_exit_code_2(home):
    def rookery(*words):
        command = [sys.executable, "-m", "rookery.cli.main", *words, "--home", str(home.path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert rookery("fleet", "pause", "--reason", "maintenance").returncode == 0
    done = rookery("demo", "--minutes", "1")
    assert done.returncode == 2
    assert "maintenance" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert rookery("fleet", "resume").stdout == "Runs may begin again.\n"
    assert rookery("fleet", "resume").stdout == "The home was not paused.\n"
