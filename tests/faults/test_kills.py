"""A few kills; the runs of record, of at least 200 each, are those of the benchmarks."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def killed(bench: str, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(BENCHMARKS / bench), *options, "--no-record"]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_verbs_killed_at_random_points_lose_nothing_and_double_nothing():
    done = killed("bench_kills.py", "--kills", "15", "--posts", "3000")
    assert done.returncode == 0, done.stderr


@pytest.mark.soak  # tests of training kill it too, each at one chosen point
def test_training_and_export_killed_at_random_points_end_alike_and_lose_no_more_than_stated():
    done = killed("bench_train_kills.py", "--kills", "16")
    assert done.returncode == 0, done.stderr
    assert "every one ended with the weights" in done.stdout
