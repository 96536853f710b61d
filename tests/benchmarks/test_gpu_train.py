"""The GPU script runs where there is no GPU, so that it is known to work before one is rented."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_train.py"


@pytest.mark.slow
def test_every_size_takes_its_steps_at_toy_size():
    done = subprocess.run([sys.executable, SCRIPT, "--toy"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rates = [line.split("|")[4] for line in done.stdout.splitlines() if line.startswith("| toy")]
    assert len(rates) == 1
    assert int(rates[0].replace(",", "")) > 0
