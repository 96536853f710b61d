"""Kill training and export with SIGKILL at random points; measure what is lost.

    python benchmarks/bench_train_kills.py --kills 200

Each trial copies a prepared home and kills, two to five times and each time after a random part of
the time that an undisturbed run takes: the one process that trains, one of two (their launcher
starts them again), the launcher of two, or an export. Right after each kill no process may live on
that should have ended, and what is there must be whole; in the end weights, losses and files must
be those of the undisturbed run. How many steps are done again follows from the losses noted before
the kill and from the step after which the run then reports to go on.
"""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from bench_kills import Undisturbed, check, delay, undisturbed
from kill_cases import Case, no_half_artifact, outcome, write_posts
from process import children, fresh, progress, stamps, start, wait_until_begun
from record import table, write_result

from rookery.core.artifact import MANIFEST
from rookery.core.context import Context
from rookery.core.digest import digest_file
from rookery.core.home import Home, create_home
from rookery.corpus.build import build_corpus
from rookery.corpus.shards import write_shards
from rookery.model.config import config_for_scale
from rookery.model.tokenizer import load_tokenizer, train_tokenizer
from rookery.posts.ingest import ingest

SCALE, POSTS = 1e-4, 3_000
STEPS, CHECKPOINT_STEPS = 100, 10
INTERVAL_STEPS = 2 * CHECKPOINT_STEPS  # docs/training.md, "When something ends"
SETTINGS = {
    "steps": STEPS,
    "checkpoint_steps": CHECKPOINT_STEPS,
    "batch_tokens": 512,
    "micro_batch_tokens": 512,
}
TRAIN = [
    "model",
    "train",
    "--scale",
    str(SCALE),
    *(f"--set={name}={value}" for name, value in SETTINGS.items()),
]
BY_TWO = [*TRAIN, "--processes", "2", "--max-restarts", "9"]
METRICS, STATES = (
    "artifacts/checkpoint/*/notes/metrics.jsonl",
    "artifacts/checkpoint/*/scratch/step-*",
)
EXPORTED = "exported"
PATIENCE_SECONDS = 60

Victim = Callable[[int, np.random.Generator], int | None]


@dataclass(frozen=True)
class Target:
    """A case, and which process of it to kill.

    victim: takes the id of the command's process and returns the id of the process to kill, or None
    if it does not run yet. done: whether nothing is left to do, so that the command would refuse to
    run again.
    """

    case: Case
    victim: Victim
    done: Callable[[Path], bool] = lambda home: False


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training that was killed had come.

    noted: steps whose loss was noted. file: which file of losses, by its inode. went_on: the steps
    after which it reported to go on.
    """

    noted: int = 0
    file: int | None = None
    went_on: tuple[int, ...] = ()


@dataclass
class Toll:
    """What the kills of one case hit, and the steps that each resume did again."""

    hits: Counter[str] = field(default_factory=Counter)
    steps: list[int] = field(default_factory=list)
    trials: int = 0


def main() -> int:
    """Run the benchmark; return 0, or 1 if more was lost than is stated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", help="run only this case")
    parser.add_argument("--no-record", action="store_true", help="write no result")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # results equal bit for bit, and a quicker start
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["TMPDIR"] = str(temporary(folder))
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "cache")  # one for all runs
        chosen = [
            target for target in targets(folder) if arguments.case in (None, target.case.name)
        ]
        share = -(-arguments.kills // len(chosen))
        seeds = np.random.SeedSequence(arguments.seed).spawn(len(chosen))
        tolls = [
            under_fire(target, share, np.random.default_rng(seed), folder)
            for target, seed in zip(chosen, seeds, strict=True)
        ]
    text = body([target.case.name for target in chosen], *zip(*tolls, strict=True))
    if arguments.no_record:
        print(text)
    else:
        print(
            write_result(
                "train_kills", "Training and export killed and started again", ["torch"], text
            ).read_text()
        )
    _, under = zip(*tolls, strict=True)
    return int(most_again(under) > INTERVAL_STEPS)


def targets(folder: Path) -> list[Target]:
    """Return all that is killed, on a synthetic town whose files are written into a folder."""
    posts = write_posts(folder, POSTS)
    ready, trained = folder / "ready", folder / "trained"

    def with_shards(home: Path) -> None:
        if not ready.exists():
            made = create_home(ready)
            ingest(made, posts, None, Context())
            corpus = build_corpus(made, Context())
            tokenizer = train_tokenizer(
                made, corpus, Context(), config_for_scale(SCALE).shape.vocabulary
            )
            write_shards(made, corpus, load_tokenizer(tokenizer), Context())
        fresh(ready, home)

    def with_checkpoint(home: Path) -> None:
        with_shards(trained)
        assert start(trained, TRAIN).wait() == 0
        fresh(trained, home)

    def training(name: str, words: list[str]) -> Case:
        return Case(
            name, with_shards, lambda home: words, METRICS, states_are_whole, training_outcome
        )

    export = Case(
        "export",
        with_checkpoint,
        lambda home: ["model", "export", str(home / EXPORTED)],
        f".{EXPORTED}*",
        export_is_whole,
        export_outcome,
    )
    return [
        Target(training("train, one process", TRAIN), itself),
        Target(training("train, one of two processes", BY_TWO), one_of_its_own),
        Target(training("train, the launcher of two", BY_TWO), itself),
        Target(export, itself, lambda home: (home / EXPORTED).exists()),
    ]


def itself(command: int, random: np.random.Generator) -> int:
    return command


def one_of_its_own(command: int, random: np.random.Generator) -> int | None:
    started = children(command)
    return int(random.choice(started)) if started else None


def under_fire(
    target: Target, kills: int, random: np.random.Generator, folder: Path
) -> tuple[Undisturbed, Toll]:
    """Run trials of one case until this many kills have hit.

    Raises AssertionError at the first difference from an undisturbed run.
    """
    case, template, home = target.case, folder / "template", folder / "home"
    case.prepare(template)
    calm = undisturbed(case, template, home)
    assert not left_in(temporary(folder)), (
        f"left over by an undisturbed run: {left_in(temporary(folder))}"
    )
    progress(
        f"{case.name}: {calm.start_seconds:.2f} s to begin, {calm.work_seconds:.2f} s of work; "
        f"{kills} kills"
    )
    toll = Toll()
    while toll.hits.total() < kills:
        toll.trials += 1
        fresh(template, home)
        delays = [delay(calm, random) for _ in range(random.integers(2, 6))]
        moments = ", ".join(f"{seconds:.3f} s after its {after}" for after, seconds in delays)
        try:
            killed_and_ended(target, home, delays, random, toll)
            check(case, home, calm)
            launchers = "rookery-" if target.victim is itself else None
            assert not left_in(temporary(folder), launchers), (
                f"left over: {left_in(temporary(folder))}"
            )
        except (AssertionError, subprocess.SubprocessError) as error:
            raise AssertionError(
                f"{case.name}, trial {toll.trials}, killed {moments}: {error}"
            ) from error
        progress(
            f"{case.name}: {toll.hits.total()} kills, {toll.trials} runs to the end, steps again "
            f"{toll.steps}"
        )
    shutil.rmtree(
        temporary(folder)
    )  # so that the next case does not see what killed launchers left
    temporary(folder)
    return calm, toll


def killed_and_ended(
    target: Target,
    home: Path,
    delays: list[tuple[str, float]],
    random: np.random.Generator,
    toll: Toll,
) -> None:
    """Kill the target's process after each delay, then let the command run to its end."""
    case, output = target.case, home.with_name("output")
    output.write_bytes(b"")
    process, at = None, TrainingProgress()
    with open(output, "ab") as errors:
        for after, seconds in delays:
            before = stamps(home, case.begun)
            process = process or start(home, case.words(home), errors)
            if after == "beginning":
                wait_until_begun(process, home, case.begun, before)
            time.sleep(seconds)
            if process.poll() is not None:
                break
            if not kill(process, target.victim(process.pid, random), home):
                continue
            toll.hits[after] += 1
            case.whole(home)
            at = gone_on(at, training_progress(home, output), toll)
            process = process if process.poll() is None else None
            if target.done(home):
                return
        process = process or start(home, case.words(home), errors)
        assert process.wait(timeout=600) == 0, (
            f"the run after it failed: {output.read_text()[-1000:]}"
        )
    gone_on(at, training_progress(home, output), toll)
    assert not at_work(home), "a process lives on after the end"


def kill(process: subprocess.Popen, victim: int | None, home: Path) -> bool:
    """Kill one process and wait until all that have to end with it have ended.

    With a launcher, all of its processes end; with one of its processes, the others of the same
    attempt. Returns False if the process had ended before.
    """
    if victim is None:
        return False
    others = at_work(home) - {process.pid}
    os.kill(victim, signal.SIGKILL)
    if victim == process.pid and process.wait() != -signal.SIGKILL:
        return False
    ends = time.monotonic() + PATIENCE_SECONDS
    while left := others & at_work(home):
        assert time.monotonic() < ends, f"{len(left)} processes outlived the one that was killed"
        time.sleep(0.01)
    return True


def at_work(home: Path) -> set[int]:
    """Return the processes whose command line names a home."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(home).encode() in file.read_bytes().split(b"\0"):
                found.add(int(file.parent.name))
    return found


def training_progress(home: Path, output: Path) -> TrainingProgress:
    (file,) = list(home.glob(METRICS)) or [None]
    went_on = tuple(
        int(step) for step in re.findall(r"Going on after step (\d+)\.", output.read_text())
    )
    return (
        TrainingProgress(len(losses(file)), file.stat().st_ino, went_on)
        if file
        else TrainingProgress(went_on=went_on)
    )


def gone_on(before: TrainingProgress, now: TrainingProgress, toll: Toll) -> TrainingProgress:
    """Note how many steps were done again, if the run went on in between.

    Nothing is noted where the run had noted no steps before.
    """
    new = now.went_on[len(before.went_on) :]
    # a run that starts from the beginning reports nothing, but writes another file
    if before.noted and (new or now.file != before.file):
        toll.steps.append(before.noted - (new[-1] if new else 0))
    return now


def losses(metrics: Path) -> list[tuple[int, float]]:
    """Return the steps and losses that were noted; raise ValueError for a line cut short."""
    return [
        (note["step"], note["loss"]) for note in map(json.loads, metrics.read_text().splitlines())
    ]


def states_are_whole(home: Path) -> None:
    """Check that every finished artifact is whole.

    Of one in the making, check every file of the newest two saved states that count.
    """
    no_half_artifact(home)
    unfinished = [
        folder
        for folder in sorted(home.glob(STATES))
        if not (folder.parents[1] / MANIFEST).exists()
    ]
    noted = {folder: sorted(folder.glob("whole-*-of-*.json")) for folder in unfinished}
    counting = [
        notes
        for notes in noted.values()
        if notes and len(notes) == int(notes[0].stem.rsplit("-", 1)[1])
    ]
    for note in [note for notes in counting[-2:] for note in notes]:
        for name, digest in json.loads(note.read_text())["files"].items():
            assert digest_file(note.parent / name) == digest, (
                f"{note.parent.name}/{name} is not what was noted"
            )


def training_outcome(home: Path) -> dict[str, object]:
    """Return the digests of all, the losses with each step once, and all file names."""
    (metrics,) = home.glob(METRICS)
    noted = losses(metrics)
    assert [step for step, _ in noted] == list(range(STEPS)), "a step is noted twice, or is missing"
    return outcome(home) | {"losses": noted, "files": files(home)}


def export_is_whole(home: Path) -> None:
    no_half_artifact(home)
    folder = home / EXPORTED
    if folder.exists():
        assert len(list(folder.iterdir())) == 6, "a part of the export's files is there"
        weights = Home(home).newest("checkpoint").file("model.safetensors")
        assert (folder / weights.name).read_bytes() == weights.read_bytes(), (
            "the exported weights are others"
        )


def export_outcome(home: Path) -> dict[str, object]:
    exported = {path.name: digest_file(path) for path in (home / EXPORTED).iterdir()}
    return outcome(home) | {"exported": exported, "files": files(home)}


def files(home: Path) -> list[str]:
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*"))


def temporary(folder: Path) -> Path:
    """Return the folder for the commands' temporary files."""
    path = folder / "temporary"
    path.mkdir(exist_ok=True)
    return path


def left_in(folder: Path, empty: str | None = None) -> list[str]:
    """Return the names in the folder for temporary files.

    Empty folders whose name begins with `empty` are left out.
    """
    return [
        path.name
        for path in folder.iterdir()
        if not (empty and path.name.startswith(empty) and not list(path.iterdir()))
    ]


def body(names: list[str], calms: tuple[Undisturbed, ...], tolls: tuple[Toll, ...]) -> str:
    steps = [number for toll in tolls for number in toll.steps]
    most, within = most_again(tolls), sum(number <= CHECKPOINT_STEPS for number in steps)
    columns = [
        "killed",
        "kills",
        "in the work",
        "at any time",
        "runs to the end",
        "s to begin",
        "s of work",
    ]
    columns += ["resumes", "steps again: median", "most"]
    return (
        f"{sum(toll.hits.total() for toll in tolls)} kills, at most five before each of "
        f"{sum(toll.trials for toll in tolls)} runs to the end: every one ended with the "
        f"weights, the "
        "losses and the files of an undisturbed one, to the bit. After every kill what counted "
        "as finished or saved "
        "was whole, and no process lived on; after every run nothing was left over, but for one "
        "empty temporary "
        "folder for each killed launcher. A kill after the end of the command is not counted.\n\n"
        f"{STEPS} steps, a state every {CHECKPOINT_STEPS}. Of {len(steps)} resumes {within} did "
        f"at most "
        f"{CHECKPOINT_STEPS} noted steps again, the most {most}; none loses more than "
        f"{INTERVAL_STEPS}: "
        f"{'met' if most <= INTERVAL_STEPS else 'NOT met'}.\n\n"
        + table(columns, [row(*one) for one in zip(names, calms, tolls, strict=True)])
    )


def most_again(tolls: tuple[Toll, ...]) -> int:
    """Return the most steps that any resume did again."""
    return max((number for toll in tolls for number in toll.steps), default=0)


def row(name: str, calm: Undisturbed, toll: Toll) -> list[object]:
    hits, again = toll.hits, toll.steps
    times = f"{calm.start_seconds:.2f}", f"{calm.work_seconds:.2f}"
    steps = (len(again), statistics.median(again), max(again)) if again else (0, "", "")
    return [name, hits.total(), hits["beginning"], hits["start"], toll.trials, *times, *steps]


if __name__ == "__main__":
    sys.exit(main())
