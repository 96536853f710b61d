"""Saved states: what a run in training needs to go on, written while it trains.

Each lies in a folder `step-00000100/` of the stage's scratch folder, in the format of PyTorch's
distributed checkpoints: every process writes what it holds, and any number of processes can read
it. A process that has written its files adds `whole-00000-of-00002.json` with their digests. A
state counts when all those notes are there and true; a damaged one is passed over, aloud, for the
one before it.

Not here: what a finished model is on disk (`checkpoint.py`).
"""

import json
import shutil
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions

from rookery.core.artifact import write_atomically
from rookery.core.context import Clock, Progress
from rookery.core.digest import digest_file
from rookery.core.errors import DataError, StorageError
from rookery.model.parallel.processes import Processes
from rookery.model.tensors import Stored

A_PLAIN_COPY = StagingOptions(False, False, False, False)  # it is done when training goes on
KEPT_STATES = 2  # the newest, and the one before it in case the newest is damaged


class States:
    """The saved states of one run. Saving goes on beside training; `poll` looks whether it is
    done.
    """

    def __init__(self, folder: Path, processes: Processes, clock: Clock, progress: Progress):
        self._folder, self._processes, self._clock, self._progress = (
            folder,
            processes,
            clock,
            progress,
        )
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._writing: Future | None = None
        self._saving = folder  # where to
        self._newest: int | None = None  # the step of the state that was saved or read last
        # what the writer's threads agree on must not mix with what training does
        self._group = dist.new_group(backend="gloo") if processes.count > 1 else None
        self.blocked_seconds = 0.0

    def save(self, step: int, state: Mapping[str, Tensor]) -> float:
        """Begin to save the state after `step` steps. Returns for how many seconds training was
        held up.
        """
        began = self._clock.monotonic_seconds()
        self.wait()
        if step == self._newest:  # a pause where the state was saved anyway: nothing is put at risk
            return 0.0
        folder = self._saving = _folder(self._folder, step)
        self._remove(folder)  # what a killed run left of this step
        self._processes.barrier()
        _expect_one_process()
        stager = DefaultStager(A_PLAIN_COPY)
        # what is copied lies in the machine's memory: torch's default would go through a GPU's
        # queue once more
        writer = dcp.FileSystemWriter(folder, per_thread_copy_ahead=0)
        written = dcp.async_save(
            dict(state),
            storage_writer=writer,
            async_stager=stager,
            process_group=self._group,
            no_dist=self._group is None,
        )
        self._writing = self._writer.submit(self._finish, written, stager, folder, step)
        blocked = self._clock.monotonic_seconds() - began
        self.blocked_seconds += blocked
        return blocked

    def poll(self) -> None:
        """Take note of a save that has ended."""
        if self._writing and self._writing.done():
            self.wait()

    def wait(self) -> None:
        """Until nothing is being written. A save that failed is said, and the run goes on with the
        one before.
        """
        if not self._writing:
            return
        try:
            self._writing.result()
        except (OSError, CheckpointException) as error:
            self._say(
                f"The state could not be saved, so the one before it is kept: {_reason(error)}."
            )
            self._remove(self._saving)
        else:
            self._newest = _step(self._saving)
            self._prune()
        self._writing = None

    def close(self) -> None:
        """Wait for what is being written, and end the writer."""
        self.wait()
        self._writer.shutdown()

    def restore(self, state: Mapping[str, Tensor]) -> int:
        """Read the newest whole state into the given tensors; returns its step, or 0 if there is
        none.

        Raises `DataError` if it is one of another network, `StorageError` if it cannot be read.
        """
        steps = [_step(folder) for folder in _newest_first(self._folder)]
        for step in self._processes.broadcast(steps):
            folder = _folder(self._folder, step)
            damage = self._processes.first_found(_damage(folder, self._processes))
            if damage is None:
                self._read(folder, state)
                self._newest = step
                self._say(f"Going on after step {step}.")
                return step
            self._say(f"The state after {step} steps is passed over, {damage}.")
        return 0

    def _read(self, folder: Path, state: Mapping[str, Tensor]) -> None:
        _expect_one_process()
        try:
            dcp.load(
                dict(state),
                checkpoint_id=folder,
                process_group=self._group,
                no_dist=self._group is None,
            )
        except (
            CheckpointException
        ) as error:  # another process that ends raises something else: no fault of the state
            causes = [cause for cause, _ in error.failures.values()]
            if any(isinstance(cause, OSError) for cause in causes):
                what = f"a saved state cannot be read: {_reason(error)}"
                raise StorageError(what, where=folder, hint="Run the command again") from None
            if not all(isinstance(cause, (KeyError, RuntimeError, ValueError)) for cause in causes):
                raise
            what = f"a saved state belongs to another network: {_reason(error)}"
            raise DataError(
                what, where=folder, hint="Remove that folder and run the command again"
            ) from None

    def _finish(self, written: Future, stager: DefaultStager, folder: Path, step: int) -> None:
        """After this process's files are written: the note that vouches for them. Fails where any
        process's does.
        """
        with closing(stager):
            written.result()
        problem: OSError | None = None
        try:
            self._vouch(folder, step)
        except OSError as error:
            problem = error
        problems = [problem] * self._processes.count
        if self._group is not None:
            dist.all_gather_object(problems, problem, group=self._group)
        for each in filter(None, problems):
            raise each

    def _vouch(self, folder: Path, step: int) -> None:
        place = self._processes.place
        files = [
            *folder.glob(f"__{place.rank}_*"),
            *(folder.glob(".metadata") if self._processes.is_first else ()),
        ]
        note = {"step": step, "files": {file.name: digest_file(file) for file in sorted(files)}}
        write_atomically(_note(folder, place.rank, place.count), json.dumps(note).encode())

    def _prune(self) -> None:
        """Remove what is older than the newest states that are whole by their notes."""
        whole = [folder for folder in _newest_first(self._folder) if _notes(folder)]
        for folder in _newest_first(self._folder):
            if folder < min(whole[:KEPT_STATES], default=folder):
                self._remove(folder)

    def _remove(self, folder: Path) -> None:
        if self._processes.is_first:
            shutil.rmtree(folder, ignore_errors=True)

    def _say(self, line: str) -> None:
        if self._processes.is_first:
            self._progress.say(line)


def whole_state(scratch: Path, step: int) -> Stored:
    """The state after a step, whatever wrote it, once it was found to be whole.

    Raises `StorageError` if that state could not be saved, or is damaged.
    """
    folder = _folder(scratch, step)
    if not _notes(folder):
        raise StorageError(
            "the last state could not be saved",
            where=folder,
            hint="Free some space and run the command again",
        )
    if damage := _damage(folder, Processes()):
        what = f"the last state cannot be used, {damage}"
        raise StorageError(
            what, where=folder, hint="Run the command again: it goes on from the state before"
        )
    entries = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata

    def read(names: Sequence[str]) -> dict[str, Tensor]:
        state = {
            name: torch.empty(entries[name].size, dtype=entries[name].properties.dtype)
            for name in names
        }
        _expect_one_process()
        dcp.load(dict(state), checkpoint_id=folder, no_dist=True)
        return state

    bytes_of = {
        name: entry.size.numel() * entry.properties.dtype.itemsize
        for name, entry in entries.items()
    }
    return Stored(bytes_of, read)


def _expect_one_process() -> None:
    """PyTorch warns at each save that it takes the run for one process, though it was told so."""
    warnings.filterwarnings(
        "ignore", "torch.distributed is disabled, unavailable or uninitialized", UserWarning
    )


def _folder(scratch: Path, step: int) -> Path:
    return scratch / f"step-{step:08d}"


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _newest_first(scratch: Path) -> list[Path]:
    return sorted(scratch.glob("step-*"), reverse=True)


def _note(folder: Path, rank: int, count: int) -> Path:
    return folder / f"whole-{rank:05d}-of-{count:05d}.json"


def _notes(folder: Path) -> list[Path] | None:
    """The notes of all processes that wrote a state, or None if one is missing."""
    found = sorted(folder.glob("whole-*-of-*.json"))
    count = int(found[0].stem.rsplit("-", 1)[1]) if found else -1
    return found if len(found) == count else None


def _damage(folder: Path, processes: Processes) -> str | None:
    """What is wrong with this process's share of a state's files, or None."""
    notes = _notes(folder)
    if notes is None:
        return "for it is not whole"
    try:
        files = {
            name: digest
            for note in notes
            for name, digest in json.loads(note.read_text())["files"].items()
        }
    except (OSError, ValueError, KeyError):
        return "for one of its notes cannot be read"
    for name in sorted(files)[processes.place.rank :: processes.count]:
        if not _is_whole(folder / name, files[name]):
            return f"for its file {name} is damaged"
    return None


def _is_whole(path: Path, digest: str) -> bool:
    try:
        return digest_file(path) == digest
    except OSError:  # it is missing, or its disk cannot read it
        return False


def _reason(error: Exception) -> str:
    """One line of what went wrong in some process."""
    failures = getattr(error, "failures", None)
    cause = next(iter(failures.values()))[0] if failures else error
    return f"{type(cause).__name__}: {cause}".splitlines()[0]
