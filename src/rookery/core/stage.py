"""Stages: run what makes an artifact, skip what is finished, resume what was killed.

A stage works in the folder of its artifact, which is named by the digest of all that the artifact
depends on (the key). A stage that is started again therefore finds its parts there and resumes.
The manifest is written last, and only when the stage ended without an error: it finishes the
artifact.

Not here: what the stages do. Each lives in the package that owns its result. What a stage may use
of its folder is in `workspace.py`.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rookery.core.artifact import (
    MANIFEST,
    SCRATCH,
    Artifact,
    key_of,
    open_artifact,
    write_manifest,
)
from rookery.core.context import Context
from rookery.core.home import Home
from rookery.core.locks import exclusive
from rookery.core.pause import refuse_if_paused
from rookery.core.runs import lock_of, recorded
from rookery.core.workspace import Workspace, finished_manifest


@dataclass(frozen=True)
class Stage:
    """All that an artifact depends on: two stages that are equal make equal artifacts.

    version: raised by hand when the same config and inputs give other output. inputs: digests by
    name. flops: the compute that the stage will take, in floating-point operations, where that is
    known before; it is noted in the register and is no part of the key.
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
        """Return the folder of the artifact, whether it exists yet or not."""
        return home.artifacts / self.kind / self.key


def run_stage(
    home: Home, stage: Stage, make: Callable[[Workspace], Mapping[str, Any]], context: Context
) -> Artifact:
    """Make the artifact of a stage, or return it if it is finished already.

    make: does the work in the workspace and returns the metrics of the manifest. Raises what
    `open_stage` and `make` raise.
    """
    with open_stage(home, stage, context) as workspace:
        if workspace is not None:
            workspace.metrics.update(make(workspace))
    return open_artifact(stage.folder(home))


@contextmanager
def open_stage(home: Home, stage: Stage, context: Context) -> Iterator[Workspace | None]:
    """Yield the workspace of a stage to work in, or None if its artifact is finished already.

    When the block ends without an error, what lies in the workspace is published as the artifact.
    However it ends, the attempt is recorded in the run register. Raises `BusyError` if another
    process is making the artifact at this moment, `PausedError` if the home is paused.
    """
    folder = stage.folder(home)
    if _is_finished(folder):
        _remove_scratch(folder)  # a kill between manifest and removal left it
        yield None
        return
    refuse_if_paused(home)
    with exclusive(lock_of(home, stage.kind, stage.key), f"the {stage.kind} {stage.key}"):
        if _is_finished(folder):  # by another process, before this one held the lock
            yield None
            return
        with recorded(home, stage.kind, stage.key, context, stage.flops) as began_seconds:
            folder.mkdir(parents=True, exist_ok=True)
            workspace = Workspace(folder, context)
            yield workspace
            _publish(home, stage, workspace, began_seconds)


def _is_finished(folder: Path) -> bool:
    return (folder / MANIFEST).exists()


def _publish(home: Home, stage: Stage, workspace: Workspace, began_seconds: float) -> None:
    seconds = workspace.context.clock.monotonic_seconds() - began_seconds
    policy = home.settings.rights.policy
    write_manifest(workspace.path, finished_manifest(stage, workspace, policy, seconds))
    _remove_scratch(workspace.path)  # only now: until the manifest is there a stage resumes from it


def _remove_scratch(folder: Path) -> None:
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)


def remove_unfinished(home: Home, kind: str) -> int:
    """Remove what killed stages of a kind left behind; return how many folders that were.

    The caller must know that no stage of this kind runs.
    """
    folders = [
        path / SCRATCH if _is_finished(path) else path for path in home.artifacts.glob(f"{kind}/*/")
    ]
    left = [folder for folder in folders if folder.exists()]
    for folder in left:
        shutil.rmtree(folder)
    return len(left)
