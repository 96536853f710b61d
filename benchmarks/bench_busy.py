"""How much longer training takes beside two busy processes, and how its threads wait.

    python benchmarks/bench_busy.py --work FOLDER

`rookery model train --scale 0.0015` on the built-in town, again and again: quiet, and beside two
processes that do nothing but count, each with OpenMP's threads spinning for as long as the product
sets (`rookery/model/__init__.py`), as long as libgomp sets by itself, and with one thread. The
cases alternate. On two cores a fair share of a busy machine is half: twice the quiet time.
"""

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from process import ROOKERY
from record import table, write_result

SCALE = "0.0015"
CASES = {
    "as set by default": {},
    "libgomp's own spinning": {"GOMP_SPINCOUNT": "300000"},  # its default where threads have cores
    "one thread": {"OMP_NUM_THREADS": "1"},
}
BUSY_PROCESSES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    home = arguments.work / "home"
    _command("demo", "--no-serve", "--scale", SCALE, "--home", str(home))
    seconds: dict[tuple[str, bool], list[float]] = {}
    for _ in range(arguments.rounds):
        for name, setting in CASES.items():
            for is_busy in (False, True):
                seconds.setdefault((name, is_busy), []).append(_train(home, setting, is_busy))
    print(write_result("busy", "Training beside other work", ["torch"], _body(seconds)).read_text())


def _train(home: Path, setting: dict[str, str], is_busy: bool) -> float:
    """Return the wall-clock seconds of one training run from its start to its checkpoint."""
    shutil.rmtree(home / "artifacts" / "checkpoint")
    with _busy() if is_busy else contextlib.nullcontext():
        started = time.monotonic()
        _command("model", "train", "--scale", SCALE, "--home", str(home), **setting)
        return time.monotonic() - started


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    counting = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(counting) for _ in range(BUSY_PROCESSES)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _command(*words: str, **setting: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"} | setting
    subprocess.run([*ROOKERY, *words], env=environment, check=True, capture_output=True)


def _body(seconds: dict[tuple[str, bool], list[float]]) -> str:
    rows = []
    for name in CASES:
        quiet, busy = (statistics.median(seconds[name, is_busy]) for is_busy in (False, True))
        rows.append([name, f"{quiet:.1f}", f"{busy:.1f}", f"{busy / quiet:.2f}"])
    rounds = len(next(iter(seconds.values())))
    note = (
        f"Median wall-clock seconds of {rounds} rounds, alternating; load from other users of the\n"
    )
    note += "machine is not excluded.\n\n"
    return note + table(["threads wait", "quiet", "beside two processes", "times as long"], rows)


if __name__ == "__main__":
    main()
