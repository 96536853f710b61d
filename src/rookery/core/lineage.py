"""Lineage: which artifacts hold a post, and which were made from those.

An artifact that holds posts keeps `held.ids`, the sorted 64-bit hashes of their ids, so that a
question about one post costs a binary search. An artifact made from such a one (a model from its
corpus) derives from the post. What an erasure took out of an artifact moves from `held.ids` to
`erased.ids`: what was made of the artifact before still derives from the post. The lake and the
search index are asked by their own packages.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rookery.core.artifact import Artifact, find_artifacts, write_atomically
from rookery.core.digest import hash_ids
from rookery.core.home import Home

HELD, ERASED = "held.ids", "erased.ids"


How = Literal["holds", "held", "derives"]


@dataclass(frozen=True)
class Trace:
    """One artifact that a post reached: it `holds` or `held` the post itself, or `derives` from
    such a one.
    """

    artifact: Artifact
    how: How


def write_held_hashes(folder: Path, post_hashes: np.ndarray) -> None:
    """Note in an artifact's folder which posts it holds, given as `hash_ids` of them."""
    held = np.sort(post_hashes)  # np.unique would hash, which is slower here
    held[np.diff(held, prepend=held[:1] + 1) != 0].tofile(folder / HELD)


def held_hashes(folder: Path, name: str = HELD) -> np.ndarray:
    """What an artifact's folder says that it holds (or held: `ERASED`), sorted; empty where it says
    nothing.
    """
    path = folder / name
    return np.fromfile(path, dtype="<u8") if path.exists() else np.empty(0, "<u8")


def note_erased(folder: Path, gone: np.ndarray) -> None:
    """Note that posts (as hashes; those it does not hold are passed over) are no longer in an
    artifact's folder.
    """
    held = held_hashes(folder)
    erased = np.union1d(held_hashes(folder, ERASED), np.intersect1d(held, gone))
    for name, hashes in (
        (ERASED, erased),
        (HELD, np.setdiff1d(held, gone)),
    ):  # in both after a kill, never in neither
        write_atomically(folder / name, hashes.astype("<u8").tobytes())


def holds(folder: Path, post_id: str, name: str = HELD) -> bool:
    """Whether an artifact's folder says that it holds a post (wrong once in 10¹³ for a million
    posts).
    """
    path = folder / name
    if not path.exists() or path.stat().st_size == 0:
        return False
    held = np.memmap(path, dtype="<u8", mode="r")
    wanted = hash_ids([post_id])[0]
    place = int(np.searchsorted(held, wanted))
    return place < len(held) and bool(held[place] == wanted)


def trace(home: Home, post_id: str) -> Iterator[Trace]:
    """Every finished artifact that holds a post or derives from one that does, in the order they
    were made.
    """
    reached: set[str] = set()
    pending = list(find_artifacts(home.artifacts))
    found: dict[str, Trace] = {}
    while True:
        new = [a for a in pending if a.digest not in reached and _how(a, post_id, reached)]
        if not new:
            break
        for artifact in new:
            found[artifact.digest] = Trace(artifact, _how(artifact, post_id, reached))
        reached |= {a.digest for a in new}
    yield from (found[a.digest] for a in pending if a.digest in found)


def _how(artifact: Artifact, post_id: str, reached: set[str]) -> How | None:
    if holds(artifact.path, post_id):
        return "holds"
    if holds(artifact.path, post_id, ERASED):
        return "held"
    return "derives" if reached.intersection(artifact.manifest.inputs.values()) else None
