"""Mutation check: the share of small faults in pure modules that the modules' own tests catch.

    python benchmarks/bench_mutants.py --mutants 80 --seed 0 1 2

For each seed, so many places are drawn from all places of all modules at which a single change is
possible, and at each place one change (`mutants.py`). A mutant runs in a temporary copy of `src`,
against the test files of its module alone and none that is slow. It is caught if a test fails or
runs out of time. Mutants that mean the same as the original are not sorted out, so 100% cannot be
reached.
"""

import argparse
import compileall
import gc
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from mutants import Mutant, sites
from record import table, write_result

T = TypeVar("T")

ROOT = Path(__file__).parents[1]
BAR = 0.85
CPU_SECONDS, SECONDS = 30, 900  # for one mutant: several times what the slowest original takes
MEMORY_BYTES = 12 << 30  # of addresses, so that no mutant fills the machine

MODULES = [
    *(f"corpus/{name}" for name in ("quality", "dedup", "split", "spam", "privacy", "mixture")),
    *(f"corpus/{name}" for name in ("threads", "control", "normalize")),
    *("ads/price/auction", "ads/price/pacing", "ads/select/eligibility", "ads/select/relevance"),
    *("ads/terms/money", "search/ranking/scores", "search/ranking/metrics", "search/query"),
    *(
        "core/config",
        "core/verdict",
        "core/arrays",
        "core/lineage",
        "posts/rights",
        "posts/log/places",
    ),
    *("fleet/planning/layout", "fleet/planning/sizing", "fleet/planning/goodput"),
    *("model/shape", "model/degrees", "model/config", "model/data/packing", "model/data/order"),
    "model/training/thresholds",
]
OTHER_TESTS = {"posts/log/places": ["tests/posts/test_compliance.py"]}


# Each mutant is tested in a process forked from one that has the libraries, but nothing of
# Rookery: importing them would take most of the time.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["numpy", "pyarrow.parquet", "pytest", "torch"])


@dataclass(frozen=True)
class Module:
    """A module with the places where it can be changed."""

    name: str
    places: list[list[Mutant]]


@dataclass(frozen=True)
class Trial:
    """A mutant of a module that was tested."""

    module: str
    mutant: Mutant
    caught: bool


class Bench:
    """A temporary copy of `src` in which one mutant at a time is tested."""

    def __init__(self, folder: Path) -> None:
        self.src, self.folder = folder / "src", folder
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src", self.src, ignore=ignored)
        compileall.compile_dir(self.src, quiet=1)

    def original(self, name: str) -> Module:
        """Test a module as it is; raises `RuntimeError` unless its tests pass."""
        if (code := self._test(name)) != 0:
            raise RuntimeError(f"the tests of {name} do not pass as they are: {code}")
        return Module(name, sites((ROOT / "src/rookery" / f"{name}.py").read_text()))

    def trial(self, module: Module, mutant: Mutant) -> Trial:
        """Test one mutant, and put the original back."""
        path = self.src / "rookery" / f"{module.name}.py"
        before = path.read_text()
        # A stale bytecode file would hide a change that leaves size and second as they were.
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
            compiled.unlink()
        path.write_text(mutant.text)
        try:
            return Trial(module.name, mutant, self._test(module.name) != 0)
        finally:
            path.write_text(before)

    def _test(self, name: str) -> int | None:
        """Run the tests of a module; return pytest's exit code, or what ended the process."""
        # Failing examples are forgotten, so that no mutant is caught by those of another.
        shutil.rmtree(self.folder / "hypothesis", ignore_errors=True)
        process = FORKS.Process(target=run_tests, args=(self.folder, test_files(name)))
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            return None
        return process.exitcode


def run_tests(folder: Path, files: list[str]) -> None:
    """Run test files on the copy of `src` in a folder, and exit with pytest's code."""
    # Time of the processor and not of the clock: on a busy machine nothing is caught by being slow.
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    gc.freeze()  # pytest collects garbage again and again, and the libraries hold none
    src, quiet = str(folder / "src"), os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    os.chdir(ROOT)
    os.environ |= {
        "PYTHONPATH": src,
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
        "OMP_NUM_THREADS": "1",
    }
    sys.dont_write_bytecode = True
    assert not any(name.partition(".")[0] == "rookery" for name in sys.modules)
    sys.path.insert(0, src)
    import pytest

    options = ["-x", "-q", "-p", "no:randomly", "-m", "not slow and not gpu"]
    sys.exit(int(pytest.main([*options, "--hypothesis-seed=0", *files])))


def test_files(name: str) -> list[str]:
    """Return the test files of a module."""
    folder, _, module = name.rpartition("/")
    own = f"tests/{folder}/test_{module}.py"
    return [*([own] if (ROOT / own).exists() else []), *OTHER_TESTS.get(name, [])]


def progress(line: str) -> None:
    """Print what the benchmark does now on standard error."""
    print(f"{time.strftime('%H:%M:%S')}  {line}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=80)
    parser.add_argument("--seed", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--module", nargs="+", default=MODULES, help="only these modules")
    parser.add_argument("--every", action="store_true", help="every mutant, and write no result")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        benches = [Bench(Path(name) / str(job)) for job in range(arguments.jobs)]
        modules = spread(
            benches, [lambda bench, n=module: bench.original(n) for module in arguments.module]
        )
        places = [(module, place) for module in modules for place in module.places]
        progress(f"{len(places):,} places in {len(modules)} modules")
        if arguments.every:
            drawn = {0: [(module, mutant) for module, place in places for mutant in place]}
        else:
            drawn = {
                seed: draw(places, arguments.mutants, np.random.default_rng(seed))
                for seed in arguments.seed
            }
        trials = {seed: tried(benches, chosen) for seed, chosen in drawn.items()}
    if arguments.every:
        print(survivors(trials[0]))
        print(f"{sum(t.caught for t in trials[0])} of {len(trials[0])} are caught")
        return
    print(
        write_result(
            "mutants", "Mutants caught by tests", ["pytest", "hypothesis"], body(trials, modules)
        ).read_text()
    )


def draw(
    places: Sequence[tuple[Module, list[Mutant]]], count: int, random: np.random.Generator
) -> list[tuple[Module, Mutant]]:
    """Draw so many different places, and at each of them one mutant."""
    chosen = [places[n] for n in random.choice(len(places), count, replace=False)]
    return [(module, place[random.integers(len(place))]) for module, place in chosen]


def tried(benches: list[Bench], chosen: list[tuple[Module, Mutant]]) -> list[Trial]:
    """Test all mutants, as many at a time as there are copies of the source."""
    tasks = [lambda bench, m=module, x=mutant: bench.trial(m, x) for module, mutant in chosen]
    return spread(benches, tasks)


def spread(benches: list[Bench], tasks: Sequence[Callable[[Bench], T]]) -> list[T]:
    """Run tasks, each with a bench to itself, and return their results in order."""
    free = list(benches)

    def run(task: Callable[[Bench], T]) -> T:
        bench = free.pop()
        try:
            return task(bench)
        finally:
            free.append(bench)

    with ThreadPoolExecutor(len(benches)) as pool:
        results: list[T] = []
        for result in pool.map(run, tasks):
            results.append(result)
            if len(results) % 20 == 0:
                progress(f"{len(results)} of {len(tasks)}")
        return results


def body(trials: dict[int, list[Trial]], modules: list[Module]) -> str:
    """Return the table of all seeds, and the survivors by module."""
    shares = {seed: sum(t.caught for t in part) / len(part) for seed, part in trials.items()}
    rows = [
        [seed, len(part), sum(t.caught for t in part), f"{shares[seed]:.1%}"]
        for seed, part in trials.items()
    ]
    places = sum(len(module.places) for module in modules)
    met = all(share >= BAR for share in shares.values())
    head = (
        f"Single changes at places drawn from the {places:,} of {len(modules)} pure modules, each "
        "against the tests of its own module. Changes that mean the same are not sorted out. "
        f"Bar for each seed: {BAR:.0%}: {'met' if met else 'NOT met'}.\n\n"
    )
    every = [trial for part in trials.values() for trial in part]
    columns = ["seed", "mutants", "caught", "share"]
    return f"{head}{table(columns, rows)}\n## Survivors\n\n{survivors(every)}"


def survivors(trials: list[Trial]) -> str:
    """Return the mutants that no test caught, as a table ordered by module and line."""
    lines = {
        (trial.module, trial.mutant.line, _code(trial.mutant.before), _code(trial.mutant.after))
        for trial in trials
        if not trial.caught
    }
    return table(["module", "line", "before", "after"], sorted(lines))


def _code(expression: str) -> str:
    return f"`{' '.join(expression.split())}`".replace("|", "\\|")


if __name__ == "__main__":
    main()
