"""A few kills; the run of record, of at least 200, is `benchmarks/bench_kills.py`."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "benchmarks" / "bench_kills.py"
KILLS = 15


@pytest.mark.slow
def test_verbs_killed_at_random_points_lose_nothing_and_double_nothing():
    command = [sys.executable, str(BENCH), "--kills", str(KILLS), "--posts", "3000", "--no-record"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
