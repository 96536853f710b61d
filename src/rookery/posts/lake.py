"""The lake: posts at rest, one Delta Lake table, a folder for each month.

The lake lives: every write makes a new version, and a stage names the version that it read. A write
is one transaction: it is there whole or not at all, also after a kill. Each ingest leaves its key in
the table's history, so that the same ingest run again adds nothing.

Not here: what a source's file means (`ingest.py`) and what may be done with a post (`rights.py`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError

from rookery.core.errors import UsageError
from rookery.core.home import Home
from rookery.posts.post import POST_SCHEMA

MONTH = "month"
LAKE_SCHEMA = POST_SCHEMA.append(pa.field(MONTH, pa.string(), nullable=False))
BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Lake:
    """One version of the table, to read from. Made by `open_lake`."""

    table: DeltaTable

    @property
    def version(self) -> int:
        return self.table.version()

    @property
    def name(self) -> str:
        """This version's name among a stage's inputs: table id and version."""
        return f"lake:{self.table.metadata().id}@{self.version}"

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The posts (or some of their columns) in batches of at most `BATCH_ROWS`; the order is not defined."""
        names = list(columns or POST_SCHEMA.names)
        scanner = self.table.to_pyarrow_dataset().scanner(columns=names, batch_size=BATCH_ROWS)
        yield from (batch for batch in scanner.to_batches() if batch.num_rows)

    def count(self) -> int:
        """How many posts this version holds."""
        return self.table.to_pyarrow_dataset().count_rows()

    def files(self) -> list[str]:
        """The paths of the Parquet files that make up this version."""
        return self.table.file_uris()


def find_lake(home: Home) -> Lake | None:
    """The newest version of the home's lake, or None if nothing was ever ingested."""
    try:
        return Lake(DeltaTable(str(home.lake)))
    except TableNotFoundError:
        return None


def open_lake(home: Home) -> Lake:
    """The newest version of the home's lake; raises `UsageError` if nothing was ever ingested."""
    lake = find_lake(home)
    if lake is None:
        raise UsageError("there are no posts yet", where=home.path, mend="Run `rookery posts ingest` first")
    return lake


def was_ingested(home: Home, ingest_key: str) -> bool:
    """Whether the lake's history holds an ingest of this key."""
    lake = find_lake(home)
    return lake is not None and any(c.get("ingest_key") == ingest_key for c in lake.table.history())


def append(home: Home, batches: Iterable[pa.RecordBatch], ingest_key: str) -> None:
    """Add batches of `POST_SCHEMA` in one transaction; if the iterable raises, nothing is added."""
    reader = pa.RecordBatchReader.from_batches(LAKE_SCHEMA, (_with_month(batch) for batch in batches))
    write_deltalake(
        str(home.lake),
        reader,
        mode="append",
        partition_by=[MONTH],
        commit_properties=CommitProperties(custom_metadata={"ingest_key": ingest_key}),
    )


def _with_month(batch: pa.RecordBatch) -> pa.RecordBatch:
    months = pc.strftime(batch["created"], format="%Y-%m")
    return pa.RecordBatch.from_arrays([*batch.columns, months], schema=LAKE_SCHEMA)
