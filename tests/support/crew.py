"""Real processes that train together, started once for many tests: a crew.

Each member waits for jobs; a job is a function of this module, called in every member with its
rank. Losses are compared closely, so members train in float32 and with one thread.
"""

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch
from tiny_run import kept_bytes

from rookery.core.artifact import open_artifact
from rookery.core.context import Context, SilentProgress, SystemClock
from rookery.core.errors import UsageError
from rookery.core.home import open_home
from rookery.model import train as training
from rookery.model.config import TrainConfig
from rookery.model.degrees import Degrees
from rookery.model.parallel.processes import ProcessRank, joined
from rookery.model.training import loss, states
from rookery.model.training import run as running
from rookery.model.training.measure import synthetic_steps

PATIENCE_SECONDS = 600


class Stopped(BaseException):
    """The end of a run between two steps, as if all processes had ended."""


class Crew:
    """Processes that are started when they are first needed, and again after a job that failed."""

    def __init__(self, count: int):
        self._count, self._members = count, []

    def run(self, job: Callable, *arguments: Any) -> list[Any]:
        """Run a job in all members, and return what each returned.

        Raises `RuntimeError` with the traceback of the first member that failed.
        """
        ends = self._ends if self._members else self._start()
        port = _free_port()
        for end in ends:
            end.send((job, port, arguments))
        answers: dict[Any, Any] = {}
        while len(answers) < self._count:
            ready = wait([end for end in ends if end not in answers], PATIENCE_SECONDS)
            found = {end: end.recv() for end in ready}
            failed = next((text for kind, text in found.values() if kind == "failed"), None)
            if failed or not ready:
                self.close()
                raise RuntimeError(failed or "the members of the crew do not answer")
            answers |= found
        return [answers[end][1] for end in ends]

    def close(self) -> None:
        for member in self._members:
            member.kill()
            member.join()
        self._members = []

    def _start(self) -> list:
        spawned = multiprocessing.get_context("spawn")
        pairs = [spawned.Pipe() for _ in range(self._count)]
        self._ends = [ours for ours, _ in pairs]
        self._members = [
            spawned.Process(target=_serve, args=(rank, self._count, theirs), daemon=True)
            for rank, (_, theirs) in enumerate(pairs)
        ]
        for member in self._members:
            member.start()
        return self._ends


def _serve(rank: int, count: int, end) -> None:
    torch.set_num_threads(1)
    loss.LOSS_CHUNK_TOKENS["cpu"] = 24  # several chunks and a rest in each micro-batch
    running.best_precision = lambda device: torch.float32
    while True:
        job, port, arguments = end.recv()
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        try:
            end.send(("done", job(ProcessRank(rank, count, rank), *arguments)))
        except Exception:
            end.send(("failed", traceback.format_exc()))


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def followed(stop: int | None) -> Iterator[list[int]]:
    """Yield the list of the steps that a run takes here; it ends before the step `stop`."""
    plain, numbers = training._learn, []

    def learn(run, step, number):
        numbers.append(number)
        if number == stop:
            raise Stopped
        return plain(run, step, number)

    training._learn = learn
    try:
        yield numbers
    finally:
        training._learn = plain


def trained(
    place: ProcessRank,
    degrees: Degrees,
    home: Path,
    shards: Path,
    tokenizer: Path,
    config: TrainConfig,
    stop: int | None,
    earlier: Path | None,
) -> tuple[Path | None, int | None]:
    """Train, or go on; return the checkpoint's folder and the first step that was taken here.

    The folder is None if the run was stopped, the step if the checkpoint was finished already.
    """
    with followed(stop) as steps:
        try:
            with joined(place, degrees) as processes:
                opened = open_home(home), open_artifact(shards), open_artifact(tokenizer)
                before = None if earlier is None else open_artifact(earlier)
                made = training.train(*opened, config, Context(), processes, before)
                return made.path, steps[0] if steps else None
        except Stopped:
            return None, steps[0]


def kept_by_each(place: ProcessRank, degrees: Degrees, config: TrainConfig) -> int:
    """Return how many bytes a micro-batch keeps in each process for its backward pass."""
    with joined(place, degrees) as processes:
        run = running.Run.begin(config, processes)
        return kept_bytes(run, next(synthetic_steps(run)).rows[0])


def compiles_where_one_cannot(
    place: ProcessRank, degrees: Degrees, config: TrainConfig, victim: int
) -> str:
    """Return how a run is refused that asks for compiled layers where one process cannot."""
    plain = running.compiler.fault
    running.compiler.fault = lambda *_: "there is no compiler" if place.rank == victim else None
    try:
        with joined(place, degrees) as processes:
            running.Run.begin(config, processes)
            return "compiled"
    except UsageError as error:
        return error.what
    finally:
        running.compiler.fault = plain


def saved_where_a_note_fails(
    place: ProcessRank, degrees: Degrees, folder: Path, victim: int
) -> tuple[list[str], int]:
    """Save two states, where one process cannot write its note of the second.

    Returns the lines printed here, and the step of the state that a run would go on from.
    """
    plain, said = states.write_atomically, []

    def write(path: Path, data: bytes) -> None:
        if place.rank == victim and "step-00000002" in str(path):
            raise OSError(28, "No space left on device")
        plain(path, data)

    states.write_atomically = write
    progress = SilentProgress()
    progress.say = said.append
    try:
        with joined(place, degrees) as processes:
            with closing(states.States(folder, processes, SystemClock(), progress)) as kept:
                for step in (1, 2):
                    kept.save(step, {"a": torch.full((3,), float(step))})
            with closing(states.States(folder, processes, SystemClock(), SilentProgress())) as kept:
                return said, kept.restore({"a": torch.zeros(3)})
    finally:
        states.write_atomically = plain
