"""Running a stage: skip what is finished, go on with what was killed, record every attempt.

A stage is a plain function `make(workspace) -> metrics` together with what its result depends on.
The workspace is the artifact's own folder: it is named by the key, so a stage that is started again
finds its parts and goes on. `run_stage` publishes by writing the manifest last.

Not here: what the stages do. Each lives in the package that owns its result.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
from rookery.core.home import Home
from rookery.core.locks import exclusive
from rookery.core.pause import refuse_if_paused
from rookery.core.runs import lock_of, recorded
from rookery.core.verdict import Tally
from rookery.version import __version__


@dataclass(frozen=True)
class Stage:
    """What an artifact depends on: raise `version` by hand when the same input gives other output.

    flops: the compute it will take, in floating-point operations, where that is known before; it is
    noted in the register and no part of the key.
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


def run_stage(
    home: Home, stage: Stage, make: Callable[[Workspace], Mapping[str, Any]], context: Context
) -> Artifact:
    """Make the artifact of a stage, or return it if it is finished already.

    Raises `BusyError` if another process is making it at this moment, `PausedError` if the home is, and
    whatever `make` raises.
    """
    folder = stage.folder(home)
    if (folder / MANIFEST).exists():
        return _finished(folder)
    refuse_if_paused(home)
    with exclusive(lock_of(home, stage.kind, stage.key), f"the {stage.kind} {stage.key}"):
        if (folder / MANIFEST).exists():
            return _finished(folder)
        with recorded(home, stage.kind, stage.key, context, stage.flops) as started_seconds:
            workspace = Workspace(_folder(folder), context)
            metrics = make(workspace)
            seconds = context.clock.monotonic_seconds() - started_seconds
            return _publish(home, stage, workspace, metrics, seconds)


def _publish(
    home: Home, stage: Stage, workspace: Workspace, metrics: Mapping, seconds: float
) -> Artifact:
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
    """A finished artifact, without its scratch: that goes last, for until then a killed stage goes
    on from it.
    """
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    return open_artifact(folder)


def remove_unfinished(home: Home, kind: str) -> int:
    """Remove what killed stages of a kind have left; returns how many. For a caller that knows that
    none runs.
    """
    folders = [
        path if not (path / MANIFEST).exists() else path / SCRATCH
        for path in home.artifacts.glob(f"{kind}/*/")
    ]
    left = [folder for folder in folders if folder.exists()]
    for folder in left:
        shutil.rmtree(folder)
    return len(left)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
