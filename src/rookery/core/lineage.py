"""Lineage: which artifacts hold a post, and which were made from those.

An artifact that holds posts keeps `held.ids`, the sorted 64-bit hashes of their ids, so that a
question about one post costs a binary search. An artifact made from such a one (a model from its
corpus) derives from the post. The lake and the search index are asked by their own packages.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rookery.core.artifact import Artifact, find_artifacts
from rookery.core.digest import hash_ids
from rookery.core.home import Home

HELD = "held.ids"


@dataclass(frozen=True)
class Trace:
    """One artifact that a post reached: it `holds` the post itself, or `derives` from one that does."""

    artifact: Artifact
    how: Literal["holds", "derives"]


def write_held(folder: Path, post_ids: Iterable[str]) -> None:
    """Note in an artifact's folder which posts it holds."""
    write_held_hashes(folder, hash_ids(post_ids))


def write_held_hashes(folder: Path, post_hashes: np.ndarray) -> None:
    """The same, given as `hash_ids` of the posts."""
    held = np.sort(post_hashes)  # np.unique would hash, which is slower here
    held[np.diff(held, prepend=held[:1] + 1) != 0].tofile(folder / HELD)


def holds(folder: Path, post_id: str) -> bool:
    """Whether an artifact's folder says that it holds a post (wrong once in 10¹³ for a million posts)."""
    path = folder / HELD
    if not path.exists() or path.stat().st_size == 0:
        return False
    held = np.memmap(path, dtype="<u8", mode="r")
    wanted = hash_ids([post_id])[0]
    place = int(np.searchsorted(held, wanted))
    return place < len(held) and bool(held[place] == wanted)


def trace(home: Home, post_id: str) -> Iterator[Trace]:
    """Every finished artifact that holds a post or derives from one that does, in the order they were made."""
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


def _how(artifact: Artifact, post_id: str, reached: set[str]) -> Literal["holds", "derives"] | None:
    if holds(artifact.path, post_id):
        return "holds"
    return "derives" if reached.intersection(artifact.manifest.inputs.values()) else None
