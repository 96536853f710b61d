"""The reader of a generation: sees each commit at the next query, in any number of processes.

`IndexReader.view` returns a `View`: text index, columns and counts as of one commit. It does not
change, so that a query is answered from one state, whatever is written meanwhile.

Not here: which of its posts may be found at this moment (`visible.py` withholds the others), and
what a query does with a view (`retrieve.py`).
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tantivy

from rookery.core.arrays import among
from rookery.core.errors import DataError
from rookery.search.engine.column_files import map_columns
from rookery.search.engine.columns import Columns
from rookery.search.engine.fields import stored_post
from rookery.search.engine.generation import REBUILD
from rookery.search.engine.match import analyses_of
from rookery.search.engine.statistics import Counted, Statistics, load_counts
from rookery.search.engine.withheld import NOTHING, Withheld
from rookery.search.engine.writer import COLUMNS, COUNTS, TEXT, Cursor, read_cursor

_ATTEMPTS = 20

Allowed = Callable[[Columns, np.ndarray], np.ndarray]
"""A reader's scope: which of some ordinals this reader may be shown, as bools."""


@dataclass(frozen=True)
class View:
    """An index at one commit, less what is withheld; several threads may read it.

    allowed: the scope of whoever asks; None: everybody's. whole: the same posts whatever the scope,
    which keeps what is counted for the next reader.
    """

    searcher: tantivy.Searcher
    schema: tantivy.Schema
    columns: Columns
    dead: np.ndarray
    counts: Statistics
    cursor: Cursor
    withheld: Withheld = NOTHING
    allowed: Allowed | None = None
    whole: "View | None" = field(default=None, repr=False, compare=False)

    def within(self, allowed: Allowed | None) -> "View":
        """Return the same posts, of which whoever asks finds those in a scope alone."""
        return replace(self, allowed=allowed, whole=self.whole or self)

    @property
    def posts(self) -> int:
        """Return how many posts may be found."""
        return self.statistics.posts

    @cached_property
    def statistics(self) -> Statistics:
        """Return the counts of the posts that may be found, whoever asks."""
        if self.whole is not None:
            return self.whole.statistics
        return self.counts.without_posts(self.columns, self.withheld.sorted)

    def free(self, ordinals: np.ndarray) -> np.ndarray:
        """Return which of some ordinals are not withheld and in scope, as bools."""
        return ~among(ordinals, self.withheld.sorted) & self.in_scope(ordinals)

    def in_scope(self, ordinals: np.ndarray) -> np.ndarray:
        """Return which of some ordinals whoever asks may be shown, as bools."""
        if self.allowed is None:
            return np.ones(len(ordinals), bool)
        return self.allowed(self.columns, ordinals)

    @cached_property
    def analyses(self) -> frozenset[str]:
        """Return the analyses by which there are posts (`analysis.analysis_code`)."""
        return analyses_of(self.searcher)

    @cached_property
    def findable(self) -> np.ndarray:
        """Return the ordinals that may be found, whoever asks, in rising order, int64."""
        if self.whole is not None:
            return self.whole.findable
        alive = np.ones(self.columns.posts, bool)
        alive[self.dead] = False
        alive[self.withheld.sorted] = False
        return np.flatnonzero(alive)

    def posts_at(self, addresses: Sequence[tantivy.DocAddress]) -> list[dict[str, Any]]:
        """Return the stored posts at some addresses, as rows of `fields.STORED`."""
        return [stored_post(self.searcher.doc(address)) for address in addresses]

    def addresses_of(self, ordinals: Sequence[int]) -> list[tantivy.DocAddress | None]:
        """Return where the text index has each ordinal; None for one that may not be found."""
        query = tantivy.Query.term_set_query(self.schema, "ordinal", list(ordinals))
        hits = self.searcher.search(query, max(1, len(ordinals)), count=False).hits
        found = [address for _, address in hits]
        known = dict(zip(self.searcher.fast_field_values("ordinal", found), found, strict=True))
        free = self.free(np.array(ordinals, np.int64)).tolist()
        return [known.get(n) if may else None for n, may in zip(ordinals, free, strict=True)]

    def address_of(self, ordinal: int) -> tantivy.DocAddress:
        """Return where the text index has an ordinal that is not dead."""
        query = tantivy.Query.term_query(self.schema, "ordinal", ordinal, "basic")
        return self.searcher.search(query, 1, count=False).hits[0][1]


class IndexReader:
    """An open generation; several threads may ask it."""

    def __init__(self, folder: Path, dimensions: int):
        """Open a generation; raises `DataError` if a file of it is missing or damaged."""
        self._folder, self._dimensions = folder, dimensions
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        try:
            self._text = tantivy.Index.open(str(folder / TEXT))
            self._text.config_reader("manual")
        except (ValueError, OSError) as error:
            raise _damaged(folder, str(error)) from None
        self._counted = Counted()
        self._view: View | None = None
        self.view()

    def view(self) -> View:
        """Return the newest commit."""
        with self._lock:
            written = self._written()
            if self._view is None:
                self._view, self._seen = self._opened(), written
            elif written != self._seen:
                with contextlib.suppress(DataError):  # the commit before goes on
                    self._view = self._opened()
                self._seen = written
            return self._view

    def _written(self) -> tuple[int, int, int]:
        """Return what tells one commit's file from another's."""
        try:
            found = (self._folder / TEXT / "meta.json").stat()
        except FileNotFoundError:
            if self._seen is not None:  # removed while it is open: it stays as it was
                return self._seen
            raise _damaged(self._folder, "text/meta.json is missing") from None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _opened(self) -> View:
        """Open the newest commit; try again where the writer replaced a file meanwhile."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._open()
            except (ValueError, OSError, RuntimeError) as error:
                if attempt + 1 == _ATTEMPTS:
                    raise _damaged(self._folder, str(error).splitlines()[0]) from None
            except DataError as error:
                raise _damaged(self._folder, error.what) from None
        raise AssertionError("unreachable")

    def _open(self) -> View:
        self._text.reload()
        searcher = self._text.searcher()
        cursor = read_cursor(searcher, self._text.schema)
        if searcher.num_docs not in (cursor.posts, cursor.posts + 1):  # one is the cursor's own
            what = f"its files hold {cursor.posts:,} and {searcher.num_docs - 1:,} posts"
            raise DataError(what)
        mapped = map_columns(self._folder / COLUMNS, self._dimensions, cursor.extent)
        counted = self._counted
        if not counted.posts:
            counted = load_counts(self._folder / COUNTS, cursor.extent)
        self._counted = counted.up_to(mapped)
        counts = self._counted.counts
        return View(searcher, self._text.schema, mapped.columns, mapped.dead, counts, cursor)


def _damaged(folder: Path, what: str) -> DataError:
    return DataError(f"the search index is damaged: {what}", where=folder, hint=REBUILD)
