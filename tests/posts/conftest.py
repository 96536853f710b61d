"""Fixtures of this folder: the command line, in this process or another, and what a log holds."""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from rookery.cli.main import main
from rookery.core.context import FixedClock
from rookery.posts.event import Event
from rookery.posts.live import live_log
from rookery.posts.restrictions import Restrictions


@dataclass(frozen=True)
class Ran:
    """The exit code of a command and its output."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> list[str]:
        """Return the lines on standard error that are not blank."""
        return [line for line in self.err.splitlines() if line.strip()]

    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def rookery(home, monkeypatch, capsys):
    """Run `rookery WORDS --home HOME` in this process."""

    def run(*words) -> Ran:
        monkeypatch.setattr(sys, "argv", ["rookery", *map(str, words), "--home", str(home.path)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture
def start_rookery(home):
    """Start `rookery WORDS --home HOME` (or another home) as a process of its own."""
    started = []

    def start(*words, at=home, **options) -> subprocess.Popen:
        command = [
            sys.executable,
            "-m",
            "rookery.cli.main",
            *map(str, words),
            "--home",
            str(at.path),
        ]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def restrictions_of(home):
    """Record the events that reading a source yields, and return the log's restrictions."""

    def restrictions_of(read) -> Restrictions:
        with live_log(home) as log:
            log.record(
                (item for _, beside in read for item in beside if isinstance(item, Event)),
                FixedClock(),
            )
            return log.restrictions()

    return restrictions_of
