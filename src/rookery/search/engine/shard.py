"""Shards: which posts each part has of an index that is split by author, and where it lies.

An author's posts are all in one shard, chosen by the hash of the author's name as it is looked up;
so the authors of a word can be counted shard by shard and added up. Each shard is an index of its
own, in a folder of its own. Not here: how what shards found is put together (`router.py`).
"""

import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa

from rookery.core.home import WHOLE, Home, Shard
from rookery.search.engine.columns import author_hash
from rookery.search.engine.generation import CURRENT


def shards_of(home: Home) -> list[Home]:
    """Return the home once for each shard of its index, as its settings split it."""
    count = home.settings.search.shards
    return [replace(home, shard=Shard(n, count)) for n in range(count)]


def of_shard(posts: pa.Table, shard: Shard) -> pa.Table:
    """Return the posts (with `author`) of a shard's authors."""
    if shard == WHOLE:
        return posts
    authors = np.fromiter(map(author_hash, posts["author"].to_pylist()), np.uint64)
    return posts.filter(pa.array(authors % np.uint64(shard.shards) == shard.number))


def layouts_of(home: Home) -> list[Home]:
    """Return the home once for each index or shard that lies there, however it was split.

    Those that the settings ask for are among them, also where they are still to be made.
    """
    wanted, whole = shards_of(home), replace(home, shard=WHOLE)
    found = [whole]
    for layout in whole.search.glob("of-*"):
        count = layout.name.removeprefix("of-")
        if count.isdigit():
            found += [replace(home, shard=Shard(n, int(count))) for n in range(int(count))]
    others = [one for one in found if one not in wanted and (one.search / CURRENT).exists()]
    return [*wanted, *others]


def remove_other_layouts(home: Home) -> bool:
    """Remove every index that is split otherwise than the settings say; return if there was one."""
    whole, wanted = replace(home, shard=WHOLE).search, shards_of(home)[0].shard
    folders = [path for path in whole.iterdir() if path.is_dir()] if whole.exists() else []
    others = [folder for folder in folders if _is_other(folder.name, wanted)]
    if wanted != WHOLE:
        (whole / CURRENT).unlink(missing_ok=True)
    for folder in others:
        shutil.rmtree(folder)
    return bool(others)


def _is_other(folder: str, wanted: Shard) -> bool:
    if wanted == WHOLE:
        return folder.startswith("of-")
    return folder != f"of-{wanted.shards}"
