"""One command in many processes: the rank of each, and all of `model train --processes`."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from rookery.cli.processes import SCALES, rank_from_environment, stored_scale
from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.corpus.build import build_corpus
from rookery.model.config import WatchConfig
from rookery.model.degrees import Degrees
from rookery.model.parallel.processes import Processes
from rookery.workflows.train import apply_settings, base_config

WORDS = ("rooks", "trams", "bread", "rowing", "stars", "gardens", "films", "choirs")
OF_A_LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK")


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    """Remove the variables of a launcher that may run these tests."""
    for name in OF_A_LAUNCHER:
        monkeypatch.delenv(name, raising=False)


def test_without_a_launcher_nothing_is_told():
    assert rank_from_environment(None) is None


def test_a_launcher_tells_the_place(monkeypatch):
    for name, value in zip(OF_A_LAUNCHER, ("5", "8", "1"), strict=True):
        monkeypatch.setenv(name, value)
    place = rank_from_environment(None)
    assert (place.rank, place.count, place.local_rank) == (5, 8, 1)


def test_another_number_than_the_launchers_is_refused(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "8")
    with pytest.raises(
        UsageError, match=r"--processes is 2, but the launcher started 8 \(WORLD_SIZE\)"
    ):
        rank_from_environment(2)


def test_a_place_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv("RANK", "first")
    monkeypatch.setenv("WORLD_SIZE", "8")
    with pytest.raises(
        UsageError,
        match="must set whole numbers, not RANK 'first', WORLD_SIZE '8', LOCAL_RANK None",
    ):
        rank_from_environment(None)


def test_a_scale_once_measured_is_kept_for_whoever_asks_the_same(home):
    def stored(minutes: float, measured: float) -> float:
        return stored_scale(home, Processes(), {"minutes": minutes}, lambda: measured)

    assert [stored(10, 0.021), stored(10, 0.034), stored(20, 0.055), stored(10, 0.089)] == [
        0.021,
        0.021,
        0.055,
        0.021,
    ]


def test_degrees_and_patience_are_set_apart_from_the_run():
    settings = ["parallel.tensor=2", "steps=5", "watch.seconds=7", "parallel.pipeline=3"]
    config, degrees, watch = apply_settings(base_config(0.001), settings)
    assert watch == WatchConfig(seconds=7.0)
    assert degrees == Degrees(tensor=2, pipeline=3)
    assert config == apply_settings(base_config(0.001), ["steps=5"])[0]


@pytest.fixture
def command(home, put, a_post):
    """Run `rookery model train` on a small corpus, as a person types it."""
    put(
        *(
            a_post(f"today {a} were better than {b}, said number {n}")
            for n, a in enumerate(WORDS)
            for b in WORDS
        )
    )
    build_corpus(home, Context())

    def run(
        *options: str,
        long: Sequence[str] = ("--scale", "0.0001", "--set", "steps=4"),
        **environment: str,
    ):
        environment = (
            os.environ
            | {"PYTHONPATH": os.pathsep.join(sys.path), "ROOKERY_HOME": str(home.path)}
            | environment
        )
        line = [sys.executable, "-m", "rookery", "model", "train", *long, *options]
        return subprocess.run(
            line, env=environment, capture_output=True, text=True, timeout=250, check=False
        )

    return run


@pytest.mark.parametrize("minutes", ["0", "-1", "nan"])
def test_minutes_that_are_none_are_one_clear_line_and_nothing_is_kept(command, home, minutes):
    done = command(long=("--minutes", minutes))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "--minutes must be a positive number" in done.stderr
    assert not (home.path / SCALES).exists()


@pytest.mark.slow
def test_two_processes_make_one_checkpoint_and_one_document_of_json(command, home):
    done = command("--processes", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["key"] == home.newest("checkpoint").key
    assert json.loads(done.stdout)["processes"] == 2
    again = command("--json")
    # one process finds the run finished
    assert json.loads(again.stdout)["key"] == home.newest("checkpoint").key


@pytest.mark.slow
def test_degrees_that_do_not_fit_are_one_clear_line(command):
    done = command("--processes", "2", "--set", "parallel.tensor=3")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "do not multiply to 2 processes" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_what_goes_wrong_in_the_processes_is_one_clear_line_too(command):
    done = command(
        "--processes",
        "2",
        "--set",
        "matrix_learning_rate=1e37",
        "--set",
        "vector_learning_rate=1e37",
    )
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("rookery: ")]
    assert len(lines) == 1
    assert "no longer a finite number" in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize("degree", ["shard", "pipeline"])
def test_the_minutes_are_measured_by_all_processes_together(command, home, degree):
    settings = "--set", f"parallel.{degree}=2", "--set", "shape.layers=2"
    done = command("--processes", "2", *settings, "--json", long=("--minutes", "0.05"))
    assert done.returncode == 0, done.stderr
    config = home.newest("checkpoint").manifest.config
    assert f"Scale {config['scale_petaflop']:g} petaFLOP" in done.stderr
    assert json.loads(done.stdout)["processes"] == 2
