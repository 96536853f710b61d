"""Real processes that train together, started once for many tests: a crew.

Each member waits for jobs; a job is a function of this module, called in every member with its place among them.
Losses are to be compared closely, so members train in float32 and with one thread.
"""

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from rookery.core.artifact import open_artifact
from rookery.core.context import Context
from rookery.core.home import open_home
from rookery.model import train as training
from rookery.model.config import TrainConfig
from rookery.model.degrees import Degrees
from rookery.model.parallel.processes import Place, joined

PATIENCE_SECONDS = 200


class Stopped(BaseException):
    """Ends a run between two steps, as the end of all processes would."""


class Crew:
    """So many processes; use as a context manager."""

    def __init__(self, count: int):
        spawned = multiprocessing.get_context("spawn")
        pairs = [spawned.Pipe() for _ in range(count)]
        self._ends = [ours for ours, _ in pairs]
        self._members = [
            spawned.Process(target=_serve, args=(rank, count, theirs), daemon=True)
            for rank, (_, theirs) in enumerate(pairs)
        ]
        for member in self._members:
            member.start()

    def run(self, job: Callable, *arguments: Any) -> list[Any]:
        """What the job returned in each member; raises what any of them raised, with its traceback as text."""
        port = _free_port()
        for end in self._ends:
            end.send((job, port, arguments))
        answers = []
        for end in self._ends:
            if not end.poll(PATIENCE_SECONDS):
                raise TimeoutError("a member of the crew does not answer")
            answers.append(end.recv())
        failed = next((text for kind, text in answers if kind == "failed"), None)
        if failed:
            raise RuntimeError(failed)
        return [answer for _, answer in answers]

    def close(self) -> None:
        for member in self._members:
            member.kill()
            member.join()


def _serve(rank: int, count: int, end) -> None:
    torch.set_num_threads(1)
    training.best_precision = lambda device: torch.float32
    while True:
        job, port, arguments = end.recv()
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        try:
            end.send(("done", job(Place(rank, count, rank), *arguments)))
        except Exception:
            end.send(("failed", traceback.format_exc()))


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def trained(
    place: Place, degrees: Degrees, home: Path, shards: Path, tokenizer: Path, config: TrainConfig, stop: int | None
) -> Path | None:
    """Train, or go on; the checkpoint's folder, or None where the run stopped after so many steps."""
    plain = training._learn

    def learn(run, step, number):
        if number == stop:
            raise Stopped
        return plain(run, step, number)

    training._learn = learn
    try:
        with joined(place, degrees) as processes:
            opened = open_home(home), open_artifact(shards), open_artifact(tokenizer)
            return training.train(*opened, config, Context(), processes).path
    except Stopped:
        return None
    finally:
        training._learn = plain
