"""The workspace: the folder in which a stage works, and the manifest that describes its result.

Not here: when a stage runs and when its result counts as finished (`stage.py`); what a finished
artifact is (`artifact.py`).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rookery.core.artifact import NOTES, SCRATCH, Manifest, content_digest, list_files
from rookery.core.atomic import TEMPORARY, sync
from rookery.core.config import to_plain
from rookery.core.context import Context
from rookery.core.verdict import Tally
from rookery.version import __version__

if TYPE_CHECKING:
    from rookery.core.stage import Stage


@dataclass(frozen=True)
class Workspace:
    """The folder in which a stage works.

    path: the artifact's folder; every file left here is published. Found again after a kill.
    scratch: parts and temporary files; kept after a kill, removed when the artifact is finished.
    notes: what may differ between equal runs (timings); published but not digested.
    metrics: what the manifest is to report beside the tally; not digested.
    """

    path: Path
    context: Context
    tally: Tally = field(default_factory=Tally)
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def scratch(self) -> Path:
        return _folder(self.path / SCRATCH)

    @property
    def notes(self) -> Path:
        return _folder(self.path / NOTES)


def finished_manifest(
    stage: "Stage", workspace: Workspace, policy: str, seconds: float
) -> Manifest:
    """Return the manifest of a workspace whose stage has ended; its files survive a power cut then.

    policy: the home's policy of rights; seconds: how long the stage took.
    """
    for left_by_a_kill in workspace.path.rglob(f".*{TEMPORARY}"):
        left_by_a_kill.unlink()
    files = list_files(workspace.path)
    for entry in files:
        sync(workspace.path / entry.path)
    sync(workspace.path)
    inputs = dict(stage.inputs)
    return Manifest(
        kind=stage.kind,
        key=stage.key,
        stage_version=stage.version,
        config=to_plain(stage.config),
        inputs=inputs,
        files=files,
        digest=content_digest(stage.kind, stage.version, stage.config, inputs, files),
        tally=dict(workspace.tally.to_dict()),
        metrics=dict(workspace.metrics),
        policy=policy,
        rookery_version=__version__,
        created=workspace.context.clock.now().isoformat(),
        seconds=round(seconds, 3),
    )


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
