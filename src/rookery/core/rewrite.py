"""Changing a finished artifact: the one exception to its being immutable, for erasing posts."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rookery.core.artifact import ERASING, Artifact, list_files, write_manifest
from rookery.core.atomic import TEMPORARY, sync, write_atomically


def rewrite(
    artifact: Artifact, known: dict[str, Any], change: Callable[[], dict[str, Any]]
) -> Artifact:
    """Change files of a finished artifact with `change`, which returns the manifest's new `erased`.

    If it is killed half-way, `is_half_erased` is true and the same call must come again. So
    `change` must be able to continue its own half-done work, and must write every file whole.
    `known` is what `half_erased` returns in that case.
    """
    marker = artifact.path / ERASING
    for left_by_a_kill in artifact.path.rglob(f".*{TEMPORARY}"):
        left_by_a_kill.unlink()
    write_atomically(marker, json.dumps(known).encode())
    erased = change()
    manifest = replace(artifact.manifest, files=list_files(artifact.path), erased=erased)
    rewritten = write_manifest(artifact.path, manifest)
    marker.unlink()
    sync(artifact.path)
    return rewritten


def half_erased(artifact: Artifact) -> dict[str, Any]:
    """Return the `known` facts of a `rewrite` that was killed; empty if there was none."""
    marker = artifact.path / ERASING
    return json.loads(marker.read_text()) if marker.exists() else {}
