"""Kill verbs with SIGKILL at random points, start them again, compare with an undisturbed run.

    python benchmarks/bench_kills.py --kills 200

Each trial copies a prepared home and kills the real command, a process of its own, two to five
times, each time after a random part of the time that an undisturbed run takes (most often counted
from the moment at which its work begins). Right after each kill, everything in the home must be
whole; then the command runs to its end, and everything must be as after an undisturbed run: the
same posts, the same log, the same digests, nothing left over. The result records the seed, so a
trial that fails can be run again.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from kill_cases import Case, cases, left_over
from kill_follow import follow_case
from process import fresh, progress, stamps, start, wait_until_begun
from record import table, write_result

FROM_THE_START = 0.15  # the share of kills that are timed from the start


@dataclass(frozen=True)
class Undisturbed:
    """A run without kills: seconds until its work began, seconds of work, and the outcome."""

    start_seconds: float
    work_seconds: float
    outcome: dict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--posts", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", help="run only this verb")
    parser.add_argument("--no-record", action="store_true", help="write no result")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, follow_case(Path(name)) as follow:
        folder = Path(name)
        all_cases = [*cases(folder, arguments.posts), follow]
        chosen = [case for case in all_cases if arguments.case in (None, case.name)]
        share = -(-arguments.kills // len(chosen))
        seeds = np.random.SeedSequence(arguments.seed).spawn(len(chosen))
        rows = [
            under_fire(case, share, np.random.default_rng(seed), folder)
            for case, seed in zip(chosen, seeds, strict=True)
        ]
    if not arguments.no_record:
        print(
            write_result(
                "kills", "Killed and started again", ["deltalake", "daft"], body(rows)
            ).read_text()
        )


def under_fire(case: Case, kills: int, random: np.random.Generator, folder: Path) -> list[str]:
    """Run trials of one case until this many kills have hit.

    Raises AssertionError at the first difference from an undisturbed run.
    """
    template, home = folder / "template", folder / "home"
    case.prepare(template)
    calm = undisturbed(case, template, home)
    progress(
        f"{case.name}: {calm.start_seconds:.2f} s to begin, {calm.work_seconds:.2f} s of work; "
        f"{kills} kills"
    )
    hits: Counter[str] = Counter()
    trials = 0
    while hits.total() < kills:
        trials += 1
        fresh(template, home)
        delays = [delay(calm, random) for _ in range(random.integers(2, 6))]
        moments = ", ".join(f"{seconds:.3f} s after its {after}" for after, seconds in delays)
        try:
            for after, seconds in delays:
                hits[after] += killed(case, home, after, seconds)
                case.whole(home)
            run_to_the_end(case, home)
            check(case, home, calm)
        except (AssertionError, subprocess.CalledProcessError) as error:
            raise AssertionError(
                f"{case.name}, trial {trials}, killed {moments}: {error}"
            ) from error
        if trials % 10 == 0:
            progress(f"{case.name}: {hits.total()} kills, {trials} runs to the end")
    shutil.rmtree(template)
    return [
        case.name, str(hits.total()), str(hits["beginning"]), str(hits["start"]), str(trials),
        f"{calm.start_seconds:.2f}", f"{calm.work_seconds:.2f}",
    ]  # fmt: skip


def undisturbed(case: Case, template: Path, home: Path) -> Undisturbed:
    """Run a case twice and return the second run; the first warms the machine."""
    for _ in range(2):
        fresh(template, home)
        before, started = stamps(home, case.begun), time.monotonic()
        process = start(home, case.words(home))
        wait_until_begun(process, home, case.begun, before)
        begun = time.monotonic()
        assert process.wait() == 0, (
            f"{case.name} does not even run undisturbed: {process.stderr.read().decode()}"
        )
        ended = time.monotonic()
    return Undisturbed(begun - started, ended - begun, case.outcome(home))


def delay(calm: Undisturbed, random: np.random.Generator) -> tuple[str, float]:
    """Return when to kill: the event from which time counts, and the seconds after it.

    The event is mostly the beginning of the work, now and then the start of the process.
    """
    if random.random() < FROM_THE_START:
        return "start", float(random.uniform(0, calm.start_seconds + calm.work_seconds))
    return "beginning", float(random.uniform(0, calm.work_seconds))


def killed(case: Case, home: Path, after: str, seconds: float) -> bool:
    """Start the command and kill it; return False if it had ended before."""
    before = stamps(home, case.begun)
    process = start(home, case.words(home))
    if after == "beginning":
        wait_until_begun(process, home, case.begun, before)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def run_to_the_end(case: Case, home: Path) -> None:
    process = start(home, case.words(home))
    _, errors = process.communicate()
    assert process.returncode == 0, f"the run after it failed: {errors.decode().strip()}"


def check(case: Case, home: Path, calm: Undisturbed) -> None:
    found = case.outcome(home)
    differing = {
        name: (found[name], calm.outcome[name])
        for name in found
        if found[name] != calm.outcome[name]
    }
    assert not differing, f"not as undisturbed: {json.dumps(differing, default=str)[:1000]}"
    assert not left_over(home), f"left over: {left_over(home)}"


def body(rows: list[list[str]]) -> str:
    kills, ends = sum(int(row[1]) for row in rows), sum(int(row[4]) for row in rows)
    columns = [
        "verb",
        "kills",
        "in the work",
        "at any time",
        "runs to the end",
        "seconds to begin",
        "seconds of work",
    ]
    return (
        f"{kills} kills, at most five before each of {ends} runs to the end. After every kill "
        f"all was whole; "
        "after every run posts, log, set-aside rows and the digests of all artifacts were those "
        "of an undisturbed run, "
        "and nothing was left over. A kill that came after the end of the command is not "
        "counted.\n\n" + table(columns, rows)
    )


if __name__ == "__main__":
    sys.exit(main())
