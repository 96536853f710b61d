"""The GPU script runs where there is no GPU, so that it is known to be whole before one is
rented.
"""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_train.py"


@pytest.mark.slow
def test_every_size_and_precision_takes_its_steps_at_toy_size():
    done = subprocess.run([sys.executable, SCRIPT, "--toy"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rates = [line.split("|")[5] for line in done.stdout.splitlines() if line.startswith("| toy")]
    assert len(rates) == 2
    assert all(int(rate.replace(",", "")) > 0 for rate in rates)
