"""Generations: each a folder with one index, of which one is in force.

    search/current.json        which generation is in force (written atomically)
    search/<name>/             a generation: `text/`, `columns/`, `counts.bin`
    search/wanted.json         how often an index without leftovers was asked for (an erasure)

A generation is named by how texts are analysed, by the embedder and the policy, and by its round.
When one of these changes, the next generation is filled beside the one in force, which takes over
when it has caught up; nobody who searches has to wait or to start again.

Not here: filling one (`writer.py`, `index.py`) and searching it (`reader.py`).
"""

import json
import shutil
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

from rookery.core.atomic import write_atomically
from rookery.core.config import from_plain
from rookery.core.digest import digest_value
from rookery.core.errors import DataError
from rookery.core.home import Home
from rookery.core.protocols import Embedder

FORMAT = 2
"""Rises when the files, or how texts are analysed, change."""

CURRENT, WANTED = "current.json", "wanted.json"
REBUILD = "Run `rookery search index` to rebuild it"


@dataclass(frozen=True)
class Generation:
    """What a generation is made of. round: how often one without leftovers was asked for."""

    format: int
    embedder: str
    dimensions: int
    policy: str
    round: int

    @property
    def name(self) -> str:
        """Return the name of its folder."""
        return digest_value(asdict(self))[:16]

    def folder(self, home: Home) -> Path:
        """Return its folder in a home."""
        return home.search / self.name


def wanted(home: Home, embedder: Embedder) -> Generation:
    """Return the generation that a home should have now."""
    return Generation(
        FORMAT, embedder.digest, embedder.dimensions, home.settings.rights.policy, _round(home)
    )


def want_anew(home: Home) -> None:
    """Ask for a generation without what is left of removed posts in the one in force."""
    write_atomically(home.search / WANTED, json.dumps({"round": _round(home) + 1}).encode())


def _round(home: Home) -> int:
    path = home.search / WANTED
    return int(json.loads(path.read_text())["round"]) if path.exists() else 0


def in_force(home: Home) -> Generation | None:
    """Return the generation in force, or None if there is none yet.

    Raises `DataError` if what names it cannot be read.
    """
    path = home.search / CURRENT
    if not path.exists():
        return None
    try:
        return from_plain(Generation, json.loads(path.read_text()))
    except (ValueError, DataError):
        what = "the search index is damaged, or was made by another release"
        raise DataError(what, where=path, hint=REBUILD) from None


def change_of(home: Home) -> tuple[int, int]:
    """Return what differs once another generation is in force; it reads no file."""
    try:
        found = (home.search / CURRENT).stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino


def put_in_force(home: Home, generation: Generation) -> None:
    """Let readers use a generation from now on."""
    write_atomically(home.search / CURRENT, json.dumps(asdict(generation), indent=1).encode())


def remove_others(home: Home, kept: Collection[Generation]) -> None:
    """Remove all generations but some: older ones, and those of killed builds.

    Those that a process has open stay readable for it.
    """
    names = {generation.name for generation in kept}
    for folder in home.search.iterdir():
        if folder.is_dir() and folder.name not in names:
            shutil.rmtree(folder)
