"""Artifacts: immutable folders, finished exactly when their manifest exists.

    artifacts/<kind>/<key>/    key: digest of stage version, config and inputs
        manifest.json          written last, atomically: its presence means "finished"
        …                      the files, each listed in the manifest with size and digest
        notes/…                what may differ between two equal runs (timings, logs): no digest
        scratch/…              what a killed stage continues from; removed when it is finished

Only one operation changes a finished artifact: the erasure of forgotten posts (`rewrite`). It keeps
key and digest, the names by which others know the artifact, and records in the manifest what was
erased.

Not artifacts, because they change: the lake, the live log, the search index, the ads database. How
an artifact is made is in `stage.py`; which artifacts hold a post is in `lineage.py`.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rookery.core.atomic import TEMPORARY, write_atomically
from rookery.core.config import from_plain, to_plain
from rookery.core.digest import digest_file, digest_value
from rookery.core.errors import DataError

MANIFEST = "manifest.json"
NOTES = "notes"
SCRATCH = "scratch"
# present while an erasure rewrites the artifact (`rewrite.py`); holds what it must not forget
ERASING = f"erasing{TEMPORARY}"


@dataclass(frozen=True)
class FileEntry:
    """A file of an artifact: its path inside the folder, its size and the digest of its bytes."""

    path: str
    size_bytes: int
    digest: str


@dataclass(frozen=True)
class Manifest:
    """The record of an artifact, with enough facts to make it again.

    `digest` names the content: it covers kind, stage version, config, inputs and files, so it is
    equal for two runs that did the same. `created`, `seconds` and `metrics` are not part of it.
    `erased` is empty, or states what an erasure removed; then `files` lists the remaining files.
    """

    kind: str
    key: str
    stage_version: int
    config: Any
    inputs: dict[str, str]
    files: tuple[FileEntry, ...]
    digest: str
    tally: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    policy: str | None = None
    rookery_version: str = ""
    created: str = ""
    seconds: float = 0.0
    erased: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Artifact:
    """A finished folder and its manifest."""

    path: Path
    manifest: Manifest

    @property
    def kind(self) -> str:
        return self.manifest.kind

    @property
    def key(self) -> str:
        return self.manifest.key

    @property
    def digest(self) -> str:
        return self.manifest.digest

    def file(self, name: str) -> Path:
        """Return the path of one of its files."""
        return self.path / name

    def verify(self, names: Collection[str] | None = None) -> None:
        """Compare its files, or those named, with the sizes and digests in the manifest.

        Raises `DataError` with the first file that differs, is missing, or is not in the manifest.
        """
        if is_half_erased(self):
            raise DataError(
                "an erasure was cut short here",
                where=self.path,
                hint="Run `rookery posts erase` again",
            )
        known = {entry.path: entry for entry in self.manifest.files}
        for name in known if names is None else names:
            entry, path = known.get(name), self.path / name
            if entry is None:
                raise DataError("a file is none of the artifact's", where=path, hint=_MEND)
            if not path.exists():
                raise DataError("a file of a finished artifact is missing", where=path, hint=_MEND)
            if path.stat().st_size != entry.size_bytes or digest_file(path) != entry.digest:
                raise DataError("a file of a finished artifact has changed", where=path, hint=_MEND)


_MEND = "Restore it from a copy, or remove the artifact's folder and run again what made it"


def key_of(kind: str, stage_version: int, config: Any, inputs: Mapping[str, str]) -> str:
    """Return the key of an artifact before it exists: 16 hexadecimal characters."""
    return digest_value(
        {"kind": kind, "version": stage_version, "config": to_plain(config), "inputs": dict(inputs)}
    )[:16]


def content_digest(
    kind: str, stage_version: int, config: Any, inputs: Mapping[str, str], files
) -> str:
    """Return the digest of an artifact's content."""
    plain = {
        "kind": kind,
        "version": stage_version,
        "config": to_plain(config),
        "inputs": dict(inputs),
    }
    return digest_value(plain | {"files": to_plain(tuple(files))})


def list_files(folder: Path) -> tuple[FileEntry, ...]:
    """Return the digested files of a folder, ordered by path.

    `notes/`, `scratch/`, the manifest and temporary files are left out.
    """
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    names = [(p, p.relative_to(folder).as_posix()) for p in paths]
    return tuple(
        FileEntry(name, p.stat().st_size, digest_file(p))
        for p, name in names
        if name != MANIFEST
        and not name.startswith((f"{NOTES}/", f"{SCRATCH}/"))
        and not name.endswith(TEMPORARY)
    )


def write_manifest(folder: Path, manifest: Manifest) -> Artifact:
    """Publish a folder: from this moment it is a finished artifact."""
    text = json.dumps(to_plain(manifest), indent=1, ensure_ascii=False, sort_keys=True)
    write_atomically(folder / MANIFEST, text.encode())
    return Artifact(folder, manifest)


def open_artifact(folder: Path) -> Artifact:
    """Open a finished artifact.

    Raises `DataError` if it is not finished or its manifest cannot be read.
    """
    try:
        plain = json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError:
        raise DataError("not a finished artifact: it has no manifest.json", where=folder) from None
    except ValueError as error:
        raise DataError(
            f"manifest.json cannot be read: {error}", where=folder, hint=_MEND
        ) from None
    try:
        return Artifact(folder, from_plain(Manifest, plain))
    except DataError as error:
        raise DataError(
            f"manifest.json is not of this version: {error.what}", where=folder, hint=_MEND
        ) from None


def find_artifacts(root: Path, kind: str | None = None) -> Iterator[Artifact]:
    """Yield all finished artifacts under a root (of one kind, if given), oldest first."""
    found = (open_artifact(p.parent) for p in root.glob(f"{kind or '*'}/*/{MANIFEST}"))
    yield from sorted(found, key=lambda a: (a.manifest.created, a.kind, a.key))


def is_half_erased(artifact: Artifact) -> bool:
    """Return whether a `rewrite` of this artifact was killed."""
    return (artifact.path / ERASING).exists()
