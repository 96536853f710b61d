"""The writer of a generation: adds and removes posts, and commits them to text index and columns.

A commit first makes the columns durable and then the text index, in which a document of its own
holds the *cursor*: how far feed and log are read, and how much of the columns counts. So both tell
of the same posts, whenever the process is killed: what lies beyond the cursor is cut off when the
writer starts again. A post that is added again takes a new ordinal, and its old one is dead.

One process writes a generation at a time; which one, and what it adds, is decided in `index.py`.
Readers are in `reader.py`.
"""

import contextlib
import gc
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tantivy

from rookery.core.config import from_plain
from rookery.core.digest import hash_ids
from rookery.core.protocols import Embedder
from rookery.search.engine.analysis import analyse
from rookery.search.engine.column_files import ColumnWriter, Extent, map_columns
from rookery.search.engine.columns import columns_of
from rookery.search.engine.fields import count_of, documents, named_query, stored_post, text_schema
from rookery.search.engine.statistics import load_counts

TEXT, COLUMNS, COUNTS = "text", "columns", "counts.bin"
_WRITER_BYTES = 200_000_000
_EMBED_POSTS = 1_024
_SAVED_COUNTS = 20_000  # changes after which the counts are saved anew


@dataclass(frozen=True)
class Cursor:
    """The state of an index at a commit.

    feed: the number of the last post that was read, log: that of the last event. lake: the version
    of the lake at that time. extent: what of the columns counts. reasons: those against posts, by
    the numbers that the columns have for them, less one. committed: the time, in ISO 8601.
    """

    feed: int = 0
    log: int = 0
    lake: int = -1
    extent: Extent = field(default_factory=Extent)
    reasons: tuple[str, ...] = ()
    committed: str = ""

    @property
    def posts(self) -> int:
        """Return how many posts may be found."""
        return self.extent.posts - self.extent.dead


def read_cursor(searcher: tantivy.Searcher, schema: tantivy.Schema) -> Cursor:
    """Return the cursor of a commit; a new one of an index without any."""
    found = searcher.search(_cursor_query(schema), 1, count=False).hits
    if not found:
        return Cursor()
    return from_plain(Cursor, json.loads(searcher.doc(found[0][1])["cursor"][0]))


def _cursor_query(schema: tantivy.Schema) -> tantivy.Query:
    return tantivy.Query.term_query(schema, "is_cursor", True, "basic")


class GenerationWriter:
    """A generation that is open for writing."""

    def __init__(self, folder: Path, embedder: Embedder):
        """Open a generation, or begin one in an empty folder.

        Raises `DataError` if its files do not belong together.
        """
        self.folder, self.embedder = folder, embedder
        self._is_closed = False
        for name in (TEXT, COLUMNS):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._text = tantivy.Index(text_schema(), path=str(folder / TEXT))
        self._text.config_reader("manual")
        self._writer = self._text.writer(_WRITER_BYTES, num_threads=1)
        self._text.reload()
        self._searcher = self._text.searcher()
        self.cursor = read_cursor(self._searcher, self._text.schema)
        self._columns = ColumnWriter(folder / COLUMNS, embedder.dimensions, self.cursor.extent)
        self._reasons = list(self.cursor.reasons)
        self._added: dict[str, int] = {}  # ordinals by id, of posts added since the last commit
        self._buried: set[int] = set()  # ordinals that died since the last commit
        self._map()
        self._counted = load_counts(folder / COUNTS, self.cursor.extent)
        self._count()
        self._saved = self._changes()

    @property
    def has_changed(self) -> bool:
        """Return whether anything was added or removed since the last commit."""
        return self._columns.extent != self.cursor.extent

    def take(self, posts: pa.Table, reasons: Sequence[str | None]) -> None:
        """Take in posts (rows of `POST_SCHEMA`), each in place of the one with its id.

        reasons: why a post may not be searched, None if it may.
        """
        refused = pa.array([reason is not None for reason in reasons], pa.bool_())
        self.remove(posts["id"].filter(refused).to_pylist())
        self._judge(posts["id"].to_pylist(), reasons)
        self._add_all(posts.filter(pc.invert(refused)))

    def take_out(self, ids: Sequence[str], reasons: Sequence[str]) -> int:
        """Remove posts that may no longer be searched, and return how many there were."""
        self._judge(ids, reasons)
        return self.remove(ids)

    def _judge(self, ids: Sequence[str], reasons: Sequence[str | None]) -> None:
        for reason in reasons:
            if reason is not None and reason not in self._reasons:
                self._reasons.append(reason)
        number = {reason: n for n, reason in enumerate(self._reasons, 1)}
        numbers = [0 if reason is None else number[reason] for reason in reasons]
        self._columns.judge(hash_ids(ids), np.array(numbers, np.uint8))

    def _add_all(self, posts: pa.Table) -> None:
        for start in range(0, posts.num_rows, _EMBED_POSTS):
            with _uncollected():
                self._add(posts.slice(start, _EMBED_POSTS))

    def _add(self, rows: pa.Table) -> None:
        ids, texts = rows["id"].to_pylist(), rows["text"].to_pylist()
        self.remove(ids)
        if len(set(ids)) < len(ids):
            rows = _last_of_each(rows)
            ids, texts = rows["id"].to_pylist(), rows["text"].to_pylist()
        analyses = [
            analyse(*post)
            for post in zip(
                texts, rows["language"].to_pylist(), rows["alt_text"].to_pylist(), strict=True
            )
        ]
        columns = columns_of(rows, analyses, self.embedder.embed(texts))
        first = self._columns.extent.posts
        self._columns.append(columns)
        for document in documents(first, rows, analyses, columns.ids):
            self._writer.add_document(document)
        self._added.update(zip(ids, range(first, first + len(ids)), strict=True))

    def remove(self, ids: Collection[str]) -> int:
        """Remove posts, and return how many of them there were."""
        held = self._held(ids)
        for post_id, ordinals in held.items():
            self._writer.delete_documents_by_term("id", post_id)
            self._added.pop(post_id, None)
            self._bury(ordinals)
        return len(held)

    def _bury(self, ordinals: Iterable[int]) -> None:
        new = [n for n in ordinals if n not in self._buried]
        self._columns.bury(new)
        self._buried.update(new)

    def _held(self, ids: Collection[str]) -> dict[str, list[int]]:
        """Return the ordinals of those of some ids that are in the index."""
        held = {i: [self._added[i]] for i in ids if i in self._added}
        if not self.cursor.posts or not ids:
            return held
        by_hash = dict(zip(hash_ids(ids).tolist(), ids, strict=True))
        for ordinal in self._committed(ids):
            if ordinal not in self._buried:
                post_id = by_hash[int(self._mapped.columns.ids[ordinal])]
                held.setdefault(post_id, []).append(ordinal)
        return held

    def _committed(self, ids: Collection[str]) -> list[int]:
        query = tantivy.Query.term_set_query(self._text.schema, "id", list(ids))
        hits = self._searcher.search(query, len(ids), count=False).hits
        found = self._searcher.fast_field_values("ordinal", [address for _, address in hits])
        return [n for n in found if isinstance(n, int)]

    def has_added(self, ids: Iterable[str]) -> bool:
        """Return whether one of some posts was added since the last commit."""
        return not self._added.keys().isdisjoint(ids)

    def held(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return those of some posts that were committed, as stored."""
        if not self.cursor.posts or not ids:
            return []
        query = tantivy.Query.term_set_query(self._text.schema, "id", list(ids))
        hits = self._searcher.search(query, len(ids), count=False).hits
        return [stored_post(self._searcher.doc(address)) for _, address in hits]

    def held_of(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return the posts with some ids or by some authors that were committed, as stored.

        Authors are looked up in one case, so that some may be of authors of a similar name.
        """
        query = named_query(self._text.schema, names)
        count = count_of(self._searcher, query)
        hits = self._searcher.search(query, max(1, count), count=False).hits
        return [stored_post(self._searcher.doc(address)) for _, address in hits]

    def commit(self, cursor: Cursor) -> None:
        """Make all that was added and removed durable and visible, as of a cursor.

        Its extent and reasons are filled in here.
        """
        self._columns.sync()
        cursor = replace(cursor, extent=self._columns.extent, reasons=tuple(self._reasons))
        self._writer.delete_documents_by_query(_cursor_query(self._text.schema))
        document = tantivy.Document()
        document.add_boolean("is_cursor", True)
        document.add_bytes("cursor", json.dumps(asdict(cursor)).encode())
        self._writer.add_document(document)
        self._writer.commit()
        self._text.reload()
        self._searcher, self.cursor = self._text.searcher(), cursor
        self._added.clear()
        self._buried.clear()
        self._map()
        self._count()
        if self._changes() - self._saved >= max(_SAVED_COUNTS, self._saved // 10):
            self.save_counts()

    def save_counts(self) -> None:
        """Save the counts, from which a reader then begins."""
        self._counted.save(self.folder / COUNTS)
        self._saved = self._changes()

    def close(self) -> None:
        """Save the counts and close the files, once; what was not committed is lost."""
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(OSError, ValueError):  # all that counts is committed
            if self._saved != self._changes():
                self.save_counts()
            self._writer.rollback()
            self._writer.wait_merging_threads()
        self._columns.close()

    def _changes(self) -> int:
        return self.cursor.extent.posts + self.cursor.extent.dead

    def _map(self) -> None:
        self._mapped = map_columns(
            self.folder / COLUMNS, self.embedder.dimensions, self.cursor.extent
        )

    def _count(self) -> None:
        self._counted = self._counted.up_to(self._mapped)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Let Python look for garbage only afterwards: it finds none among a page's many objects."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _last_of_each(rows: pa.Table) -> pa.Table:
    """Return the last row of each id."""
    last = {post_id: place for place, post_id in enumerate(rows["id"].to_pylist())}
    return rows.take(sorted(last.values()))
