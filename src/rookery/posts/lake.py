"""The lake: posts at rest, one Delta Lake table, a folder for each month.

The lake lives: every write makes a new version, and a stage names the version that it read. A write
is one transaction: it is there whole or not at all, also after a kill. Each ingest leaves its key in
the table's history, so that the same ingest run again adds nothing.

Not here: what a source's file means (`ingest.py`) and what may be done with a post (`rights.py`).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import TableNotFoundError
from deltalake.transaction import AddAction, create_table_with_add_actions

from rookery.core.artifact import sync
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

    def count(self, where: pc.Expression | None = None) -> int:
        """How many posts this version holds (of those for which a condition on the columns is true)."""
        return self.table.to_pyarrow_dataset().count_rows(filter=where)

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
    return None if found is None else int(found["posts"])


def append(home: Home, batches: Iterable[pa.RecordBatch], ingest_key: str) -> None:
    """Add batches of `POST_SCHEMA` in one transaction; if the iterable raises, nothing is added.

    The files of a write that failed are removed; those of a killed one are no part of the table, and
    the next write removes them. The data files are written here and not by the lake's engine, whose own
    threads would still be writing after an error.
    """
    _remove_uncommitted(home)
    try:
        _commit(home, _write(home, batches, ingest_key), ingest_key)
    except BaseException:
        _remove_uncommitted(home)
        raise


def _write(home: Home, batches: Iterable[pa.RecordBatch], ingest_key: str) -> list[AddAction]:
    """Write the data files, a folder a month, in the order of the batches; returns what the table has to name."""
    lake = find_lake(home)
    number = lake.version + 1 if lake else 0
    written: list[AddAction] = []
    pyarrow.dataset.write_dataset(
        pa.RecordBatchReader.from_batches(LAKE_SCHEMA, (_with_month(batch) for batch in batches)),
        home.lake,
        basename_template=f"{number:08d}-{ingest_key}-{{i}}.parquet",
        format="parquet",
        file_options=pyarrow.dataset.ParquetFileFormat().make_write_options(compression="zstd"),
        partitioning=[MONTH],
        partitioning_flavor="hive",
        use_threads=False,
        preserve_order=True,
        min_rows_per_group=8192,
        max_open_files=256,
        max_partitions=100_000,
        existing_data_behavior="overwrite_or_ignore",
        file_visitor=lambda file: written.append(_add_action(home, file)),
    )
    return sorted(written, key=lambda action: action.path)


def _add_action(home: Home, file) -> AddAction:
    """The table's entry for a data file."""
    path = Path(file.path)
    sync(path)
    return AddAction(
        path=path.relative_to(home.lake).as_posix(),
        size=path.stat().st_size,
        partition_values={MONTH: path.parent.name.removeprefix(f"{MONTH}=")},
        modification_time=int(path.stat().st_mtime * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": file.metadata.num_rows}),
    )


def _commit(home: Home, written: list[AddAction], ingest_key: str) -> None:
    """Make the files a part of the table: all of them, in one step."""
    posts = sum(json.loads(action.stats)["numRecords"] for action in written)
    said = CommitProperties(custom_metadata={"ingest_key": ingest_key, "posts": posts})
    if lake := find_lake(home):
        lake.table.create_write_transaction(
            written, mode="append", schema=LAKE_SCHEMA, partition_by=[MONTH], commit_properties=said
        )
    else:
        schema = Schema.from_arrow(LAKE_SCHEMA)
        create_table_with_add_actions(
            str(home.lake),
            schema,
            written,
            partition_by=[MONTH],
            configuration={"delta.enableExpiredLogCleanup": "false"},  # the history holds the ingests' keys
            commit_properties=said,
        )


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
