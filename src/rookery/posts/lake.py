"""The lake: posts at rest, one Delta Lake table, a folder for each month.

The lake lives: every write makes a new version, and a stage names the version that it read. A write
is one transaction: it is there whole or not at all, also after a kill. Each ingest leaves its key in
the table's history, so that the same ingest run again adds nothing.

Not here: what a source's file means (`ingest.py`) and what may be done with a post (`rights.py`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError

from rookery.core.digest import digest_value
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
        """This version's name among a stage's inputs: the same for two lakes that took in the same ingests."""
        keys = [commit.get("ingest_key", "") for commit in reversed(self.table.history())]
        return f"lake@{self.version}:{digest_value(keys)[:16]}"

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


def find_ingest(home: Home, ingest_key: str) -> int | None:
    """How many posts the ingest of this key added, or None if the lake's history holds no such ingest."""
    lake = find_lake(home)
    commits = lake.table.history() if lake else []
    found = next((c for c in commits if c.get("ingest_key") == ingest_key), None)
    return None if found is None else int(found["operationMetrics"]["num_added_rows"])


def append(home: Home, batches: Iterable[pa.RecordBatch], ingest_key: str) -> None:
    """Add batches of `POST_SCHEMA` in one transaction; if the iterable raises, nothing is added.

    The files of a write that failed are removed; those of a killed one are no part of the table, and
    the next write removes them.
    """
    try:
        _write(home, batches, ingest_key)
    except BaseException:
        _remove_uncommitted(home)
        raise


def _write(home: Home, batches: Iterable[pa.RecordBatch], ingest_key: str) -> None:
    _remove_uncommitted(home)
    raised: list[BaseException] = []

    def with_months() -> Iterator[pa.RecordBatch]:
        try:
            yield from (_with_month(batch) for batch in batches)
        except BaseException as error:
            raised.append(error)
            raise

    try:
        write_deltalake(
            str(home.lake),
            pa.RecordBatchReader.from_batches(LAKE_SCHEMA, with_months()),
            mode="append",
            partition_by=[MONTH],
            commit_properties=CommitProperties(custom_metadata={"ingest_key": ingest_key}),
        )
    except Exception:
        if raised:  # the lake's engine hands on only the words of what was raised while it read
            raise raised[0] from None
        raise


def _remove_uncommitted(home: Home) -> None:
    """Remove data files that no version of the table names."""
    lake = find_lake(home)
    named = {Path(unquote(uri.removeprefix("file://"))).name for uri in lake.files()} if lake else set()
    for path in home.lake.glob(f"{MONTH}=*/*.parquet"):
        if path.name not in named:
            path.unlink()


def _with_month(batch: pa.RecordBatch) -> pa.RecordBatch:
    months = pc.strftime(batch["created"], format="%Y-%m")
    return pa.RecordBatch.from_arrays([*batch.columns, months], schema=LAKE_SCHEMA)
