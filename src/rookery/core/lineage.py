"""Lineage: which artifacts hold a post, and which artifacts were made from those.

An artifact that holds posts stores `held.ids`, the sorted 64-bit hashes of their ids, so that a
question about one post costs a binary search. An artifact made from such an artifact (a model from
its corpus) derives from the post. When an erasure removes a post from an artifact, its hash moves
from `held.ids` to `erased.ids`: whatever was made from the artifact before still derives from the
post. The lake and the search index answer for themselves, in their own packages.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rookery.core.artifact import Artifact, find_artifacts
from rookery.core.atomic import write_atomically
from rookery.core.digest import hash_ids
from rookery.core.home import Home

HELD, ERASED = "held.ids", "erased.ids"


How = Literal["holds", "held", "derives"]


@dataclass(frozen=True)
class Trace:
    """An artifact that a post reached: it `holds` or `held` the post, or `derives` from one that
    does.
    """

    artifact: Artifact
    how: How


def write_held_hashes(folder: Path, post_hashes: np.ndarray) -> None:
    """Write which posts an artifact holds, given as their `hash_ids`, into its folder."""
    held = np.sort(post_hashes)  # np.unique would hash, which is slower here
    held[np.diff(held, prepend=held[:1] + 1) != 0].tofile(folder / HELD)


def held_hashes(folder: Path, name: str = HELD) -> np.ndarray:
    """Return the sorted hashes of the posts that an artifact holds (or held: `ERASED`).

    The result is uint64, and empty where the folder has no such file.
    """
    path = folder / name
    return np.fromfile(path, dtype="<u8") if path.exists() else np.empty(0, "<u8")


def note_erased(folder: Path, gone: np.ndarray) -> None:
    """Record that an artifact no longer holds some posts, given as hashes.

    Hashes of posts that it does not hold are ignored.
    """
    held = held_hashes(folder)
    erased = np.union1d(held_hashes(folder, ERASED), np.intersect1d(held, gone))
    # after a kill between the two, a hash is in both files, never in neither
    for name, hashes in ((ERASED, erased), (HELD, np.setdiff1d(held, gone))):
        write_atomically(folder / name, hashes.astype("<u8").tobytes())


def holds(folder: Path, post_id: str, name: str = HELD) -> bool:
    """Return whether an artifact holds a post (wrong once in 10¹³ for a million posts)."""
    path = folder / name
    if not path.exists() or path.stat().st_size == 0:
        return False
    held = np.memmap(path, dtype="<u8", mode="r")
    wanted = hash_ids([post_id])[0]
    at = int(np.searchsorted(held, wanted))
    return at < len(held) and bool(held[at] == wanted)


def trace(home: Home, post_id: str) -> Iterator[Trace]:
    """Yield every finished artifact that holds a post or derives from it, oldest first."""
    reached: set[str] = set()
    pending = list(find_artifacts(home.artifacts))
    found: dict[str, Trace] = {}
    while True:
        new = [(a, _how(a, post_id, reached)) for a in pending if a.digest not in reached]
        traces = [Trace(artifact, how) for artifact, how in new if how is not None]
        if not traces:
            break
        found |= {one.artifact.digest: one for one in traces}
        reached |= set(found)
    yield from (found[a.digest] for a in pending if a.digest in found)


def _how(artifact: Artifact, post_id: str, reached: set[str]) -> How | None:
    if holds(artifact.path, post_id):
        return "holds"
    if holds(artifact.path, post_id, ERASED):
        return "held"
    return "derives" if reached.intersection(artifact.manifest.inputs.values()) else None
