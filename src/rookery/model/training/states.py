"""Saved states: what a run in training needs to go on, written while it trains.

Each lies in a folder `step-00000100/` of the stage's scratch folder, in the format of PyTorch's
distributed checkpoints: every process writes what it holds, and any number of processes can read
it. A process that has written its files adds a note, `whole-00000-of-00002.json`, with their
digests. A state is whole when the notes of all processes are there and match the files. A run that
goes on passes over a state that is not whole, with a line to the person, and takes the one before.

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
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions

from rookery.core.atomic import write_atomically
from rookery.core.context import Clock, Progress
from rookery.core.digest import digest_file
from rookery.core.errors import DataError, StorageError
from rookery.model.layout.tensors import Stored
from rookery.model.parallel.processes import Processes

# no pinned, shared or asynchronous copies: the copy is complete when training goes on
A_PLAIN_COPY = StagingOptions(False, False, False, False)
KEPT_STATES = 2  # the newest, and the one before it in case the newest is damaged


class States:
    """The saved states of one run, written by a thread beside training."""

    def __init__(self, folder: Path, processes: Processes, clock: Clock, progress: Progress):
        self._folder, self._processes = folder, processes
        self._clock, self._progress = clock, progress
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._writing: Future | None = None
        self._saving = folder  # of the state that is being written
        self._newest: int | None = None  # the step of the state that was saved or read last
        # a group of its own: the collectives of the writing threads must not mix with training's
        self._group = dist.new_group(backend="gloo") if processes.count > 1 else None
        self.blocked_seconds = 0.0

    def save(self, step: int, state: Mapping[str, Tensor]) -> float:
        """Begin to save the state after `step` steps; return how many seconds that blocked."""
        began = self._clock.monotonic_seconds()
        self.wait()
        # a pause right after a save: writing again would put the good state at risk
        if step == self._newest:
            return 0.0
        folder = self._saving = _folder(self._folder, step)
        self._remove(folder)  # what a killed run left of this step
        self._processes.barrier()
        _expect_one_process()
        stager = DefaultStager(A_PLAIN_COPY)
        # the copy lies in the machine's memory; torch's default would use a GPU's queue once more
        writer = dcp.FileSystemWriter(folder, per_thread_copy_ahead=0)
        written = dcp.async_save(
            dict(state),
            storage_writer=writer,
            async_stager=stager,
            process_group=self._group,
            no_dist=self._group is None,
        )
        done = written if isinstance(written, Future) else written.upload_completion
        self._writing = self._writer.submit(self._finish, done, stager, folder, step)
        blocked = self._clock.monotonic_seconds() - began
        self.blocked_seconds += blocked
        return blocked

    def poll(self) -> None:
        """Take the result of a save, if one has ended."""
        if self._writing and self._writing.done():
            self.wait()

    def wait(self) -> None:
        """Wait until nothing is being written.

        If a save failed, the person sees a line, and the state before stays the newest.
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
        """Wait for what is being written, and end the writing thread."""
        self.wait()
        self._writer.shutdown()

    def restore(self, state: Mapping[str, Tensor]) -> int:
        """Read the newest whole state into the given tensors; return its step, or 0 without one.

        Raises `DataError` if it belongs to another network, `StorageError` if it cannot be read.
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
        # where another process has ended something else is raised: no fault of the state
        except CheckpointException as error:
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
        """Add this process's note once its files are written; fail if that of any process fails."""
        with closing(stager):
            written.result()
        problem: OSError | None = None
        try:
            self._write_note(folder, step)
        except OSError as error:
            problem = error
        problems = [problem] * self._processes.count
        if self._group is not None:
            dist.all_gather_object(problems, problem, group=self._group)
        for each in filter(None, problems):
            raise each

    def _write_note(self, folder: Path, step: int) -> None:
        place = self._processes.place
        files = [*folder.glob(f"__{place.rank}_*")]
        if self._processes.is_first:
            files += folder.glob(".metadata")
        note = {"step": step, "files": {file.name: digest_file(file) for file in sorted(files)}}
        write_atomically(_note(folder, place.rank, place.count), json.dumps(note).encode())

    def _prune(self) -> None:
        """Remove all states that are older than the newest ones with the notes of all processes."""
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
    """Return the state after a step, however many processes wrote it.

    Its tensors are read when they are asked for. Raises `StorageError` if that state could not be
    saved, or is damaged.
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
    found = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
    entries = {
        name: entry for name, entry in found.items() if isinstance(entry, TensorStorageMetadata)
    }

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
    """Silence PyTorch's warning that it takes the run for one process, which `no_dist` states."""
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
    """Return the notes of all processes that wrote a state, or None if one is missing."""
    found = sorted(folder.glob("whole-*-of-*.json"))
    count = int(found[0].stem.rsplit("-", 1)[1]) if found else -1
    return found if len(found) == count else None


def _damage(folder: Path, processes: Processes) -> str | None:
    """Return what is wrong with this process's share of a state's files, or None."""
    notes = _notes(folder)
    if notes is None:
        return "because it is not whole"
    try:
        files = {
            name: digest
            for note in notes
            for name, digest in json.loads(note.read_text())["files"].items()
        }
    except (OSError, ValueError, KeyError):
        return "because one of its notes cannot be read"
    for name in sorted(files)[processes.place.rank :: processes.count]:
        if not _is_whole(folder / name, files[name]):
            return f"because its file {name} is damaged"
    return None


def _is_whole(path: Path, digest: str) -> bool:
    try:
        return digest_file(path) == digest
    except OSError:  # the file is missing, or the disk cannot read it
        return False


def _reason(error: BaseException) -> str:
    """Return one line about what went wrong in some process."""
    failures = getattr(error, "failures", None)
    cause = next(iter(failures.values()))[0] if failures else error
    return f"{type(cause).__name__}: {cause}".splitlines()[0]
