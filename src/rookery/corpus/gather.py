"""Gathering: documents in their final order, with little memory, through buckets on disk.

The place of every post is known from numbers alone (`SplitLayout`). One pass over the prepared
parts sends each text to the bucket of its document; then each bucket, which fits in memory, is
sorted and becomes a row group of the file. Not here: which place a post gets (assemble.py).
"""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.corpus import control
from rookery.corpus.document import DOCUMENT_SCHEMA, GROUP_DOCUMENTS
from rookery.corpus.prepared import Posts

T = TypeVar("T")

THREAD_GAP = "\n\n"  # a clean post holds no empty line, so this parts the posts of a thread
_COLUMNS = ("id", "author", "text", "key", "language", "created", "reactions")


@dataclass(frozen=True)
class SplitLayout:
    """The posts of a split in the order of its file.

    Document i is `rows[starts[i]:starts[i + 1]]`. A row occurs as often as its document is
    repeated.
    """

    rows: np.ndarray
    starts: np.ndarray

    @property
    def documents(self) -> int:
        """Return the number of documents, each counted as often as it is repeated."""
        return len(self.starts) - 1


def shuffled(
    rows: np.ndarray, starts: np.ndarray, copies: np.ndarray, random: np.random.Generator
) -> SplitLayout:
    """Return the layout of documents in random order, each repeated by its number of copies.

    A document begins at each of `starts` and keeps the order of its posts.
    """
    sizes = np.diff(starts, append=len(rows))
    order = random.permutation(np.repeat(np.arange(len(starts)), copies))
    new_starts = np.concatenate([[0], np.cumsum(sizes[order])])
    within = np.arange(new_starts[-1]) - np.repeat(new_starts[:-1], sizes[order])
    return SplitLayout(rows[np.repeat(starts[order], sizes[order]) + within], new_starts)


def gather(posts: Posts, layout: SplitLayout, folder: Path, controls: bool) -> Iterator[pa.Table]:
    """Yield the documents of a layout in order, in tables of a row group each.

    The columns are those of `DOCUMENT_SCHEMA`, and `key`. controls: with their control tokens.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    edges = np.append(layout.starts[:-1:GROUP_DOCUMENTS], len(layout.rows))
    buckets = [folder / f"{number}.arrow" for number in range(len(edges) - 1)]
    _fill(posts, layout, edges, buckets)
    for number, bucket in enumerate(buckets):
        first = number * GROUP_DOCUMENTS
        starts = layout.starts[first : first + GROUP_DOCUMENTS + 1] - edges[number]
        with pa.ipc.open_stream(bucket) as stream:
            table = stream.read_all()
        bucket.unlink()
        yield _documents(
            table.take(pa.array(np.argsort(table["to"].to_numpy()))).combine_chunks(),
            starts,
            controls,
        )


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the same items, each made by another thread while the one before it is used."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, items, None)
        while (item := following.result()) is not None:
            following = pool.submit(next, items, None)
            yield item


def beside(items: Iterator[T], use: Callable[[T], object]) -> Iterator[T]:
    """Yield the same items, and have another thread use each; it is never more than one behind."""
    with ThreadPoolExecutor(1) as pool:
        using: Future[object] | None = None
        for item in items:
            if using:
                using.result()
            using = pool.submit(use, item)
            yield item
        if using:
            using.result()


def _fill(posts: Posts, layout: SplitLayout, edges: np.ndarray, buckets: list[Path]) -> None:
    """Write each post of the layout into its bucket, with the place to which it goes."""
    times = np.bincount(layout.rows, minlength=len(posts))
    # The places of row r are places[first[r] : first[r] + times[r]].
    places, first = np.argsort(layout.rows, kind="stable"), np.cumsum(times) - times
    writers: list[pa.ipc.RecordBatchStreamWriter] = []
    with ExitStack() as stack:
        for row_at, table in ahead(posts.stream(_COLUMNS)):
            mine = np.repeat(np.arange(len(row_at)), times[row_at])
            copy = np.arange(len(mine)) - np.searchsorted(mine, mine)
            to = places[first[row_at[mine]] + copy]
            order = np.argsort(to)
            mine, to = mine[order], to[order]
            table = table.take(pa.array(mine)).append_column("to", pa.array(to))
            if not writers:
                writers = [stack.enter_context(_writer(path, table.schema)) for path in buckets]
            for writer, (start, end) in zip(
                writers, pairwise(np.searchsorted(to, edges)), strict=True
            ):
                if end > start:
                    writer.write_table(table.slice(start, end - start))


def _writer(path: Path, schema: pa.Schema) -> pa.ipc.RecordBatchStreamWriter:
    return pa.ipc.new_stream(path, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))


def _documents(posts: pa.Table, starts: np.ndarray, controls: bool) -> pa.Table:
    """Return the documents of posts in reading order, each from one start up to the next.

    A document has the id and the language of its first post.
    """
    inside, first = pa.array(starts, pa.int32()), pa.array(starts[:-1])
    column = {name: posts[name].combine_chunks() for name in _COLUMNS}
    lists = {
        name: pa.ListArray.from_arrays(inside, column[name])
        for name in ("text", "id", "author", "key")
    }
    created = column["created"].cast(pa.int64()).to_numpy()
    columns = {
        "id": column["id"].take(first),
        "text": pc.binary_join(lists["text"], THREAD_GAP),
        "post_ids": lists["id"],
        "author_ids": lists["author"],
        "language": column["language"].take(first),
        "created": pa.array(np.maximum.reduceat(created, starts[:-1])).cast(
            DOCUMENT_SCHEMA.field("created").type
        ),
        "key": pc.binary_join(lists["key"], " "),
    }
    if controls:
        columns["controls"] = control.controls(
            columns["language"], columns["created"], column["reactions"].take(first).to_numpy()
        )
    else:
        columns["controls"] = pa.ListArray.from_arrays(
            pa.array(np.zeros(len(starts)), pa.int32()), pa.array([], pa.string())
        )
    return pa.table(columns)
