"""Fates: what became of every post of the lake in a corpus, so that each author can be told.

    fates.posts   uint64: the hashes of all posts' ids, ascending
    fates.codes   uint32, parallel: what became of each
    fates.json    the names that the codes stand for

Both arrays are little-endian, and a question reads a few places of them (a memory map). With n
names, a code below n is the place of a name: the split that holds the post, or the reason against
it. A larger code is a copy's: n + 2 × (the place of the post that represents it) + (0 for an exact
copy, 1 for a near one).

A fate is what the build decided, and says nothing of a post's words or author. So an erasure leaves
it: by it one can still tell whether a post that is gone was learned from.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from rookery.core.arrays import among
from rookery.core.artifact import Artifact
from rookery.core.digest import hash_ids
from rookery.corpus import dedup
from rookery.corpus.document import SPLITS
from rookery.corpus.gather import SplitLayout
from rookery.corpus.prepared import Posts
from rookery.corpus.sieve import Sieve

POSTS, CODES, NAMES = "fates.posts", "fates.codes", "fates.json"
_COPIES = (dedup.EXACT_DUPLICATE, dedup.NEAR_DUPLICATE)


@dataclass(frozen=True)
class Fate:
    """What became of a post in a corpus: its split, or the reason why it was dropped.

    representative: for a copy, the hash of the id of the post that represents it.
    """

    name: str
    representative: int | None = None


def write(
    folder: Path,
    posts: Posts,
    sieve: Sieve,
    layouts: Mapping[str, SplitLayout],
    copies: Mapping[str, np.ndarray],
) -> None:
    """Write the fate of every post of the lake into the folder of a corpus.

    copies: (n, 2) rows of each kind of copy: the representative, the copy.
    """
    refused_hashes, refused_codes, refusals = posts.refused_posts()
    names = [*SPLITS, *sorted({*refusals, *sieve.dropped})]
    hashes = np.concatenate([posts.numbers("id_hash"), refused_hashes])
    order = np.argsort(hashes)
    ordered = hashes[order]

    codes = _codes(names, sieve, layouts)
    for number, reason in enumerate(_COPIES):
        representative, copy = copies[reason].T
        place = np.searchsorted(ordered, hashes[representative])
        codes[copy] = len(names) + len(_COPIES) * place + number
    of_refused = np.array([names.index(reason) for reason in refusals], "<u4")[refused_codes]

    ordered.astype("<u8", copy=False).tofile(folder / POSTS)
    np.concatenate([codes, of_refused])[order].tofile(folder / CODES)
    (folder / NAMES).write_text(json.dumps(names))


def _codes(names: list[str], sieve: Sieve, layouts: Mapping[str, SplitLayout]) -> np.ndarray:
    """Return for each row the place of its split or of its reason among the names."""
    codes = np.zeros(len(sieve.alive), "<u4")
    for name, layout in layouts.items():
        codes[layout.rows] = names.index(name)
    for reason, rows in sieve.dropped.items():
        codes[rows] = names.index(reason)
    return codes


def fate_of(corpus: Artifact, post_id: str) -> Fate | None:
    """Return what became of a post in a corpus.

    None if the lake did not hold the post then, or if the corpus is of a release that kept no
    fates.
    """
    if not (path := corpus.file(POSTS)).exists():
        return None
    posts = np.memmap(path, "<u8", mode="r")
    place = int(np.searchsorted(posts, wanted := hash_ids([post_id])[0]))
    if place == len(posts) or posts[place] != wanted:
        return None
    names = json.loads(corpus.file(NAMES).read_text())
    code = int(np.memmap(corpus.file(CODES), "<u4", mode="r")[place])
    if code < len(names):
        return Fate(names[code])
    representative, kind = divmod(code - len(names), len(_COPIES))
    return Fate(_COPIES[kind], int(posts[representative]))


def find_ids(hashes: Collection[int], batches: Iterable[pa.RecordBatch]) -> dict[int, str]:
    """Return the ids of some posts by their hashes, as far as batches with a column `id` hold them.

    Every id on the way is hashed: about a second for a million posts.
    """
    wanted, found = np.array(sorted(hashes), "<u8"), dict[int, str]()
    for batch in batches if len(wanted) else ():
        ids = batch["id"].to_pylist()
        of_ids = hash_ids(ids)
        for place in np.flatnonzero(among(of_ids, wanted)):
            found[int(of_ids[place])] = ids[place]
        if len(found) == len(wanted):
            break
    return found
