"""Held: what the files of a search index hold, also of posts that it removed, for erasures.

Not here: what may be found (`index.py`).
"""

from dataclasses import dataclass

import numpy as np

from rookery.core.digest import hash_ids
from rookery.core.errors import DataError
from rookery.core.home import Home
from rookery.search.engine.column_files import map_columns
from rookery.search.engine.generation import in_force
from rookery.search.engine.reader import IndexReader
from rookery.search.engine.writer import COLUMNS


@dataclass(frozen=True)
class Held:
    """The posts whose words are in the files of an index, also those that it removed.

    ids, authors: hashes (`Columns`). dead: ordinals that were removed or edited. lake: the version
    of the lake as of which the others are.
    """

    ids: np.ndarray
    authors: np.ndarray
    dead: np.ndarray
    lake: int

    def has(self, post_id: str) -> bool:
        """Return whether a post is among them."""
        return bool((self.ids == hash_ids([post_id])[0]).any())


def held_by(home: Home) -> Held | None:
    """Return what the index in force holds, or None if there is none."""
    generation = in_force(home)
    if generation is None:
        return None
    folder = generation.folder(home)
    cursor = IndexReader(folder, generation.dimensions).view().cursor
    mapped = map_columns(folder / COLUMNS, generation.dimensions, cursor.extent)
    return Held(mapped.columns.ids, mapped.columns.authors, mapped.dead, cursor.lake)


def is_foreign(home: Home) -> bool:
    """Return whether there is an index that this release cannot read: it may hold any post."""
    try:
        in_force(home)
    except DataError:
        return True
    return False


def holds(home: Home, post_id: str) -> bool:
    """Return whether the files of the index hold a post, removed or not; False without an index."""
    held = held_by(home)
    return held is not None and held.has(post_id)
