"""Shards: which posts each part has of an index that is split by author.

An author's posts are all in one shard, chosen by the hash of the author's name as it is looked up;
so the authors of a word can be counted shard by shard and added up. Each shard is an index of its
own, in a folder of its own. Not here: how shards are asked (`router.py`).
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from rookery.core.home import WHOLE, Home, Shard
from rookery.search.engine.columns import author_hash


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


def other_layouts(home: Home) -> Iterator[Home]:
    """Yield the home for each index that lies there split otherwise than the settings say."""
    whole = replace(home, shard=WHOLE).search
    count = home.settings.search.shards
    if count > 1 and (whole / "current.json").exists():
        yield replace(home, shard=WHOLE)
