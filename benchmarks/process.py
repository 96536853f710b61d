"""Run a command as a program of its own: measured, or only started, to be killed later.

Measured are seconds and the most memory that the process and all its descendants held. Memory is
the sum of their proportional set sizes (PSS), read from `/proc` twice a second, since a reading
takes some 15 ms of a core: pages that several of them share count once. Pages of files mapped into
memory count too, so the figure is not too kind.
"""

import contextlib
import json
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rookery.core.home import Home, open_home

STEPS = Path(__file__).with_name("steps.py")
ROOKERY = [sys.executable, "-m", "rookery.cli.main"]
IRA_MAP = "text=content,author=author_id,created=created_at,id=post_id"
"""The columns of the tweets that the benchmarks read.

The vendor's language tags are not among them, so that languages are guessed.
"""
LOOKS_A_SECOND = 2
POLL_SECONDS = 0.001


@dataclass(frozen=True)
class Measured:
    """The figures of a command. `output` is the JSON document that it printed, or None.

    cpu_seconds: of the process and of all descendants that it waited for.
    """

    seconds: float
    peak_bytes: int
    output: Any
    cpu_seconds: float = 0.0

    @property
    def peak(self) -> str:
        return f"{self.peak_bytes / 1e9:.2f}"


def rookery(home: Path, *words: object) -> Measured:
    """Run a verb of Rookery with `--json`, and measure it."""
    return measured([*ROOKERY, *map(str, words), "--home", str(home), "--json"])


def step(name: str, *words: object) -> Measured:
    """Run and measure one of the steps in `steps.py`, which no verb does alone."""
    return measured([sys.executable, str(STEPS), name, *map(str, words)])


def new_home(folder: Path, environment: Mapping[str, str] | None = None) -> Path:
    """Make a home in a folder, with the policy that `rookery init` gives it.

    environment: of the process; it can name another checkout, whose homes have other settings.
    """
    command = [*ROOKERY, "init", "--home", str(folder)]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return folder


def opened_home(folder: Path) -> Home:
    """Open the home in a folder, or make it where there is none.

    A benchmark that is started again finds there what it made before.
    """
    return open_home(folder if folder.exists() else new_home(folder))


def measured(command: Sequence[str]) -> Measured:
    """Run a command to its end and measure it; raise `CalledProcessError` if it fails.

    The command prints one JSON document or nothing.
    """
    started, used = time.monotonic(), _cpu_seconds_of_children()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    watch = _Watch(process.pid)
    printed, _ = process.communicate()
    seconds, cpu_seconds = time.monotonic() - started, _cpu_seconds_of_children() - used
    watch.end()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    output = json.loads(printed) if printed.strip() else None
    return Measured(seconds, watch.peak_bytes, output, cpu_seconds)


def _cpu_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def start(home: Path, words: Sequence[str], errors: int | IO = subprocess.PIPE) -> subprocess.Popen:
    """Start a verb in a home; its standard error goes to `errors`."""
    return subprocess.Popen(
        [*ROOKERY, *words, "--home", str(home)], stdout=subprocess.DEVNULL, stderr=errors
    )


def stamps(home: Path, pattern: str) -> dict[Path, int]:
    """Return when each file of a pattern was changed last."""
    return {path: path.stat().st_mtime_ns for path in home.glob(pattern)}


def wait_until_begun(
    process: subprocess.Popen, home: Path, pattern: str, before: dict[Path, int]
) -> None:
    """Wait until a file that shows the beginning of work changes, or the process ends."""
    while process.poll() is None and stamps(home, pattern) == before:
        time.sleep(POLL_SECONDS)


def fresh(template: Path, home: Path) -> None:
    """Make a new copy of a prepared home."""
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(template, home)


def children(pid: int) -> list[int]:
    """Return the processes that a process started and that still run."""
    with contextlib.suppress(OSError):
        files = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(child) for file in files for child in file.read_text().split()]
    return []


def progress(line: str) -> None:
    """Print on standard error what the benchmark does now."""
    print(f"{time.strftime('%H:%M:%S')}  {line}", file=sys.stderr, flush=True)


class _Watch:
    """A thread that measures the memory of a process and its descendants until it is ended."""

    def __init__(self, pid: int):
        self.peak_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(pid,), daemon=True)
        self._thread.start()

    def _look(self, pid: int) -> None:
        while not self._ended.wait(1 / LOOKS_A_SECOND):
            self.peak_bytes = max(self.peak_bytes, sum(map(_pss, _family(pid))))

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


def _family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    family = [pid]
    for parent in family:
        family += children(parent)
    return family


def _pss(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
