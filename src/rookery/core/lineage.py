"""Lineage: which artifacts hold a post, and which artifacts were made from those.

An artifact that holds posts stores `held.ids`, the sorted 64-bit hashes of their ids, so that a
question about one post costs a binary search. An artifact made from such an artifact (a model from
its corpus) derives from the post. When an erasure removes a post from an artifact, its hash moves
from `held.ids` to `erased.ids`: whatever was made from the artifact before still derives from the
post. Those of them from which nothing learned are in `unlearned.ids` too: they were held out, or
only shown in a report. The lake and the search index answer for themselves, in their own packages.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rookery.core.artifact import Artifact, find_artifacts
from rookery.core.atomic import write_atomically
from rookery.core.digest import hash_ids
from rookery.core.home import Home

HELD, ERASED, UNLEARNED = "held.ids", "erased.ids", "unlearned.ids"


How = Literal["holds", "held", "derives"]


@dataclass(frozen=True)
class Trace:
    """An artifact that a post reached: it `holds` or `held` the post, or `derives` from one that
    does.

    learned: whether models learn from the post here, or learned from it on the way.
    """

    artifact: Artifact
    how: How
    learned: bool


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
    _add(folder / ERASED, np.intersect1d(held, gone))
    # after a kill between the two, a hash is in both files, never in neither
    _write(folder / HELD, np.setdiff1d(held, gone))


def note_unlearned(folder: Path, gone: np.ndarray) -> None:
    """Record that nothing learned from some posts, given as hashes, which an artifact still holds.

    Hashes of posts that it does not hold are ignored.
    """
    _add(folder / UNLEARNED, np.intersect1d(held_hashes(folder), gone))


def _add(path: Path, hashes: np.ndarray) -> None:
    _write(path, np.union1d(held_hashes(path.parent, path.name), hashes))


def _write(path: Path, hashes: np.ndarray) -> None:
    write_atomically(path, hashes.astype("<u8").tobytes())


def holds(folder: Path, post_id: str, name: str = HELD) -> bool:
    """Return whether an artifact holds a post (wrong once in 10¹³ for a million posts)."""
    path = folder / name
    if not path.exists() or path.stat().st_size == 0:
        return False
    held = np.memmap(path, dtype="<u8", mode="r")
    wanted = hash_ids([post_id])[0]
    at = int(np.searchsorted(held, wanted))
    return at < len(held) and bool(held[at] == wanted)


def trace(
    home: Home, post_id: str, learns_from: Callable[[Artifact, str], bool]
) -> Iterator[Trace]:
    """Yield every finished artifact that holds a post or derives from it, oldest first.

    learns_from: whether models learn from a post of an artifact that holds or held it.
    """
    artifacts = list(find_artifacts(home.artifacts))
    found = {
        artifact.digest: Trace(artifact, how, learns_from(artifact, post_id))
        for artifact in artifacts
        if (how := _how(artifact, post_id)) is not None
    }
    holding = set(found)
    before: dict[str, Trace] = {}
    while found != before:
        before = dict(found)
        for artifact in (a for a in artifacts if a.digest not in holding):
            inputs = [found[i] for i in artifact.manifest.inputs.values() if i in found]
            if inputs:
                learned = any(one.learned for one in inputs)
                found[artifact.digest] = Trace(artifact, "derives", learned)
    yield from (found[a.digest] for a in artifacts if a.digest in found)


def _how(artifact: Artifact, post_id: str) -> How | None:
    if holds(artifact.path, post_id):
        return "holds"
    return "held" if holds(artifact.path, post_id, ERASED) else None
