"""Checking once whether the files of a finished artifact still are what its manifest says."""

import json
from contextlib import suppress
from pathlib import Path

from rookery.core.artifact import Artifact, is_half_erased
from rookery.core.atomic import write_atomically


def verify_once(artifact: Artifact, note: Path) -> None:
    """Verify an artifact, unless an earlier attempt's note shows that no file has changed.

    The note holds size, time of change and inode of each file. Without it, a cluster would read
    terabytes again at each restart.
    """
    found = _touched(artifact)
    if is_half_erased(artifact) or not note.exists() or json.loads(note.read_text()) != found:
        artifact.verify()
        with suppress(OSError):  # a full disk: it is read again at the next attempt
            write_atomically(note, json.dumps(found).encode())


def _touched(artifact: Artifact) -> dict[str, list[int]]:
    """Return size, time of change in nanoseconds and inode of each existing file."""
    paths = {entry.path: artifact.file(entry.path) for entry in artifact.manifest.files}
    stats = {name: path.stat() for name, path in paths.items() if path.exists()}
    return {name: [stat.st_size, stat.st_mtime_ns, stat.st_ino] for name, stat in stats.items()}
