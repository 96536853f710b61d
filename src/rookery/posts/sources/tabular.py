"""Tables of posts: CSV, JSON lines, JSON lists and Parquet, with a mapping from fields to columns.

A table that a person maps (`--map`) is their platform's own export, so that they vouch for it:
posts of which no column says who may read are public. Without a mapping nobody has vouched, and
such posts are `unknown` unless the person says otherwise (`--visibility`). Columns named like a
right are read in either case. Columns are judged by all their values before a row is taken; a row
that lacks something is set aside, and a fault of the whole file raises `DataError` and nothing is
taken.

The parts are in `tables/`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rookery.posts.sources.files import Read, clear_errors
from rookery.posts.sources.tables.columns import GUESSES as GUESSES
from rookery.posts.sources.tables.judging import Judgement, TableOptions, judge
from rookery.posts.sources.tables.kinds import kind_of as kind_of
from rookery.posts.sources.tables.kinds import table_kind
from rookery.posts.sources.tables.readers import columns_of as columns_of
from rookery.posts.sources.tables.readers import read_column as read_column
from rookery.posts.sources.tables.readers import read_raw as read_raw
from rookery.posts.sources.tables.rows import to_posts


@dataclass(frozen=True)
class PostTable:
    """A file that was judged, and can be read. Made by `open_table`."""

    path: Path
    kind: str
    judgement: Judgement

    def check(self) -> None:
        """Raise `DataError` for the first column that cannot be read."""
        for error in self.judgement.refusals(self.path):
            raise error

    def description(self) -> dict[str, Any]:
        """Return how the file is read, as plain values: a part of the ingest's key.

        A file that earlier releases read in the same way is described as they did, so that their
        ingests are found again.
        """
        judgement = self.judgement
        found: dict[str, Any] = {"format": self.kind, "map": dict(judgement.columns.mapping)}
        readers = sorted(set(judgement.readers) - {judgement.columns.mapping.get("visibility")})
        decided = any(reading.decides_all for reading in judgement.readers.values())
        times = {field: r.how for field, r in judgement.times.items() if r.is_new}
        if readers:
            found["readers"] = readers
        if judgement.otherwise != "public" and not decided:
            found["visibility"] = judgement.otherwise
        if times:
            found["times"] = times
        return found

    def unvouched(self) -> str | None:
        """Return what to say if nobody has said who may read the posts; None if somebody has."""
        if self.judgement.is_vouched:
            return None
        return (
            f"{self.path.name}: no column says who may read these posts, and nobody vouched for "
            "them, so they are 'unknown' and no use accepts them. If they are public, give the "
            "same file with --visibility public, or with --map, which vouches too"
        )

    def read(self) -> Read:
        """Yield the posts in batches of `POST_SCHEMA`, with the rows set aside.

        Raises `DataError` if the file cannot be read to its end.
        """
        with clear_errors(self.path):
            for raw in read_raw(self.path, self.judgement.columns.names):
                posts, aside = to_posts(raw, self.judgement, self.kind)
                yield posts, [*aside]


def open_table(path: Path, options: TableOptions = TableOptions()) -> PostTable:
    """Return a table with the judgement of its columns, which may be that it cannot be read.

    Raises `UsageError` for a wrong or missing field, `DataError` for a file that cannot be read.
    """
    with clear_errors(path):
        return PostTable(path, table_kind(path), judge(path, options))
