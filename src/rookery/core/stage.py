"""Running a stage: skip what is finished, go on with what was killed, record every attempt.

A stage is a plain function `make(workspace) -> metrics` together with what its result depends on.
The workspace is the artifact's own folder: it is named by the key, so a stage that is started again
finds its parts and goes on. `run_stage` publishes by writing the manifest last.

Not here: what the stages do. Each lives in the package that owns its result.
"""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rookery import __version__
from rookery.core.artifact import (
    MANIFEST,
    NOTES,
    SCRATCH,
    TEMPORARY,
    Artifact,
    Manifest,
    content_digest,
    key_of,
    list_files,
    open_artifact,
    sync,
    write_manifest,
)
from rookery.core.config import to_plain
from rookery.core.context import Context
from rookery.core.errors import Busy, Paused, RookeryError
from rookery.core.home import Home
from rookery.core.pause import refuse_if_paused
from rookery.core.verdict import Tally

ERASE_LOCK = "erase.lock"


@dataclass(frozen=True)
class Stage:
    """What an artifact depends on: raise `version` by hand when the same input gives other output.

    flops: the compute it will take, in floating-point operations, where that is known before; it is noted in
    the register and no part of the key.
    """

    kind: str
    version: int
    config: Any
    inputs: Mapping[str, str]
    flops: float | None = None

    @property
    def key(self) -> str:
        return key_of(self.kind, self.version, self.config, self.inputs)

    def folder(self, home: Home) -> Path:
        """Where its artifact lies, or will lie."""
        return home.artifacts / self.kind / self.key


@dataclass(frozen=True)
class Workspace:
    """Where a stage works.

    path: the artifact's folder; every file left here is published. Found again after a kill.
    scratch: parts and temporary files; kept after a kill, removed when the artifact is finished.
    notes: what may differ between equal runs (timings); published but not digested.
    """

    path: Path
    context: Context
    tally: Tally = field(default_factory=Tally)

    @property
    def scratch(self) -> Path:
        return _folder(self.path / SCRATCH)

    @property
    def notes(self) -> Path:
        return _folder(self.path / NOTES)


def run_stage(home: Home, stage: Stage, make: Callable[[Workspace], Mapping[str, Any]], context: Context) -> Artifact:
    """Make the artifact of a stage, or return it if it is finished already.

    Raises `Busy` if another process is making it at this moment, `Paused` if the home is, and whatever
    `make` raises.
    """
    folder = stage.folder(home)
    if (folder / MANIFEST).exists():
        return _finished(folder)
    refuse_if_paused(home)
    with exclusive(_lock(home, stage.kind, stage.key), f"the {stage.kind} {stage.key}"):
        if (folder / MANIFEST).exists():
            return _finished(folder)
        with _recorded(home, stage, context) as started_seconds:
            workspace = Workspace(_folder(folder), context)
            metrics = make(workspace)
            seconds = context.clock.monotonic_seconds() - started_seconds
            return _publish(home, stage, workspace, metrics, seconds)


def _publish(home: Home, stage: Stage, workspace: Workspace, metrics: Mapping, seconds: float) -> Artifact:
    for left_by_a_kill in workspace.path.rglob(f".*{TEMPORARY}"):
        left_by_a_kill.unlink()
    files = list_files(workspace.path)
    for entry in files:
        sync(workspace.path / entry.path)
    sync(workspace.path)
    inputs = dict(stage.inputs)
    write_manifest(
        workspace.path,
        Manifest(
            kind=stage.kind,
            key=stage.key,
            stage_version=stage.version,
            config=to_plain(stage.config),
            inputs=inputs,
            files=files,
            digest=content_digest(stage.kind, stage.version, stage.config, inputs, files),
            tally=dict(workspace.tally.to_dict()),
            metrics=dict(metrics),
            policy=home.settings.rights.policy,
            rookery_version=__version__,
            created=workspace.context.clock.now().isoformat(),
            seconds=round(seconds, 3),
        ),
    )
    return _finished(workspace.path)


def _finished(folder: Path) -> Artifact:
    """A finished artifact, without its scratch: that goes last, for until then a killed stage goes on from it."""
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    return open_artifact(folder)


def exclusive(lock: Path, what: str) -> contextlib.AbstractContextManager[None]:
    """Hold a lock file; raises `Busy` at once if another process holds it. A kill releases it."""
    return _held(lock, fcntl.LOCK_EX, what)


def making_of_posts(home: Home) -> contextlib.AbstractContextManager[None]:
    """Held while texts of posts are read into a corpus, shards or an index. Many may, but none beside an erasure."""
    return _held(home.path / ERASE_LOCK, fcntl.LOCK_SH, "the erasure of posts")


def erasing_of_posts(home: Home) -> contextlib.AbstractContextManager[None]:
    """Held by an erasure; raises `Busy` while anything is made of posts."""
    return _held(home.path / ERASE_LOCK, fcntl.LOCK_EX, "what is made of posts (a corpus, shards, an index), or erases")


@contextlib.contextmanager
def _held(lock: Path, mode: int, what: str) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "w") as file:
        try:
            fcntl.flock(file, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                f"another process is working on {what}", where=lock, mend="Wait until it is done, then try again"
            ) from None
        yield


@contextlib.contextmanager
def _recorded(home: Home, stage: Stage, context: Context) -> Iterator[float]:
    """Note the attempt in the register, however it ends; yields the starting time in seconds."""
    started = context.clock.monotonic_seconds()
    note = {"kind": stage.kind, "key": stage.key}
    record_run(home, context, note | {"event": "started"} | ({} if stage.flops is None else {"flops": stage.flops}))
    try:
        yield started
    except BaseException as error:
        reason = error.line() if isinstance(error, RookeryError) else f"{type(error).__name__}: {error}"
        event = "paused" if isinstance(error, Paused) else "failed"
        with contextlib.suppress(OSError):  # a full disk must not hide why
            record_run(home, context, note | {"event": event, "reason": reason})
        raise
    seconds = round(context.clock.monotonic_seconds() - started, 3)
    record_run(home, context, note | {"event": "finished", "seconds": seconds})


def record_run(home: Home, context: Context, note: Mapping[str, Any]) -> None:
    """Append one line to the run register; a single short write, so that two processes do not mix."""
    line = json.dumps({"at": context.clock.now().isoformat(), **note}, ensure_ascii=False) + "\n"
    with open(home.runs, "ab", buffering=0) as file:
        file.write(line.encode())


def read_runs(home: Home) -> list[dict[str, Any]]:
    """The attempts so far, oldest first: kind, key, started, state, seconds, flops, reason.

    Where no end was noted the state is `running` while a process holds the stage's lock, else `killed`.
    """
    attempts: list[dict[str, Any]] = []
    open_attempts: dict[tuple[str, str], dict[str, Any]] = {}
    for line in home.runs.read_text(errors="replace").splitlines() if home.runs.exists() else []:
        try:
            note = json.loads(line)
        except ValueError:
            continue  # the last line of a process that was killed while writing it
        name = (note["kind"], note["key"])
        if note["event"] == "started":
            if name in open_attempts:
                open_attempts[name]["state"] = "killed"
            attempt = {"kind": name[0], "key": name[1], "started": note["at"], "state": "running"}
            attempt |= {"flops": note["flops"]} if "flops" in note else {}
            open_attempts[name] = attempt
            attempts.append(attempt)
        elif name in open_attempts:
            attempt = open_attempts.pop(name)
            attempt["state"] = note["event"]
            attempt |= {k: note[k] for k in ("seconds", "reason") if k in note}
    for (kind, key), attempt in open_attempts.items():
        if not _is_held(_lock(home, kind, key)):
            attempt["state"] = "killed"
    return attempts


def remove_unfinished(home: Home, kind: str) -> int:
    """Remove what killed stages of a kind have left; returns how many. For a caller that knows that none runs."""
    folders = [path if not (path / MANIFEST).exists() else path / SCRATCH for path in home.artifacts.glob(f"{kind}/*/")]
    left = [folder for folder in folders if folder.exists()]
    for folder in left:
        shutil.rmtree(folder)
    return len(left)


def _lock(home: Home, kind: str, key: str) -> Path:
    return home.artifacts / kind / f"{key}.lock"


def _is_held(lock: Path) -> bool:
    """Whether some process holds a lock file at this moment."""
    if not lock.exists():
        return False
    with open(lock) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
