"""The lake: all posts, in one Delta Lake table with a folder for each month.

The lake is mutable: every write makes a new version, and a stage names the version that it read. A
write is one transaction: it is there whole or not at all, also after a kill. Each ingest leaves its
key in the table (as an application's transaction, Delta protocol "txn"), so that the same ingest
run again adds nothing; neither this nor the lake's name gets slower as commits become many. A write
may also remove rows (an edit's earlier text): the months that hold them are written anew in the
same transaction.

Not here: which posts an ingest writes and removes (`ingest.py`, `versions.py`) and what may be done
with a post (`rights.py`).
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions
from pyarrow.fs import LocalFileSystem

from rookery.core.arrays import is_among
from rookery.core.atomic import sync
from rookery.core.digest import digest_value
from rookery.core.errors import BusyError, UsageError
from rookery.core.home import Home
from rookery.posts.post import POST_SCHEMA

MONTH = "month"
LAKE_SCHEMA = POST_SCHEMA.append(pa.field(MONTH, pa.string(), nullable=False))
FILE = "__fragment_index"
"""The column of `scan` that holds the number of the file among the paths."""
BATCH_ROWS = 65_536
READERS_SECONDS = 3600
"""How long the files of a replaced version stay, for processes that are still reading it."""
MOST_FILES = 64
"""A month in more files is written anew as one at the next write, so that many small
ingests do not make the lake slow.
"""


@dataclass(frozen=True)
class Lake:
    """One version of the table, to read from. Made by `open_lake`."""

    table: DeltaTable

    @property
    def version(self) -> int:
        """Return the table's version, from 0 on."""
        return self.table.version()

    @property
    def name(self) -> str:
        """Return the name of this version among a stage's inputs.

        Two lakes that took in the same ingests have the same name.
        """
        return f"lake@{self.version}:{self.chain[:16]}"

    @property
    def chain(self) -> str:
        """Return the digest of all ingests' keys so far, in order.

        Each commit contains it, so that only the last one is read.
        """
        return self.table.history(1)[0].get("chain", "")

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the posts, or some of their columns, in batches of at most `BATCH_ROWS`.

        The order is not defined. Raises `BusyError` if posts are erased meanwhile.
        """
        yield from scan(self.paths(), columns or POST_SCHEMA.names)

    def count(self, where: pc.Expression | None = None) -> int:
        """Return how many posts this version holds, or how many of them meet a condition."""
        with _nothing_erased():
            return self.dataset().count_rows(filter=where)

    def dataset(self) -> pyarrow.dataset.Dataset:
        """Return the posts with their months as an Arrow dataset.

        It uses Arrow's own access to files: deltalake's is in Python, and a reading thread that
        asks for Python's lock while the process ends makes it abort.
        """
        return _dataset(self.paths())

    def paths(self) -> list[Path]:
        """Return the Parquet files that make up this version, sorted."""
        return sorted(Path(unquote(uri.removeprefix("file://"))) for uri in self.table.file_uris())


def scan(paths: Sequence[Path], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield some columns of data files in batches of at most `BATCH_ROWS`, in no defined order.

    `FILE` is a column of its own. Many small files take a tenth of the time of `read_file`; but
    Arrow's threads read them, so that it cannot feed a write. Raises `BusyError` if posts are
    erased meanwhile.
    """
    if not paths:
        return
    scanner = _dataset(paths).scanner(columns=list(columns), batch_size=BATCH_ROWS)
    with _nothing_erased():
        yield from (batch for batch in scanner.to_batches() if batch.num_rows)


def _dataset(paths: Sequence[Path]) -> pyarrow.dataset.Dataset:
    return pyarrow.dataset.FileSystemDataset.from_paths(
        [str(path) for path in paths],
        schema=LAKE_SCHEMA,
        format=pyarrow.dataset.ParquetFileFormat(),
        filesystem=LocalFileSystem(),
        partitions=[pc.field(MONTH) == _month_of(path) for path in paths],
    )


@contextmanager
def _nothing_erased() -> Iterator[None]:
    """Raise `BusyError` if a file disappears while it is read, since a reader holds no lock."""
    try:
        yield
    except FileNotFoundError:
        raise BusyError(
            "posts are being erased from the lake", hint="Run the same command again"
        ) from None


def find_lake(home: Home) -> Lake | None:
    """Return the newest version of the home's lake, or None if nothing was ever ingested.

    Raises `UsageError` for a lake whose posts have other fields than `POST_SCHEMA`.
    """
    try:
        lake = Lake(DeltaTable(str(home.lake)))
    except TableNotFoundError:
        return None
    if {f.name for f in lake.table.schema().fields} != set(LAKE_SCHEMA.names):
        what = "the lake was made by another release, whose posts had other fields"
        raise UsageError(what, where=home.lake, hint="Make a new home and ingest the files again")
    return lake


def open_lake(home: Home) -> Lake:
    """Return the newest version of the home's lake.

    Raises `UsageError` if nothing was ever ingested.
    """
    lake = find_lake(home)
    if lake is None:
        raise UsageError(
            "there are no posts yet", where=home.path, hint="Run `rookery posts ingest` first"
        )
    return lake


def version_in(name: str) -> int:
    """Return the version in a `Lake.name`."""
    return int(name.partition("@")[2].partition(":")[0])


def find_ingest(home: Home, ingest_key: str) -> int | None:
    """Return how many posts the ingest with this key added, or None if there was none."""
    lake = find_lake(home)
    return lake.table.transaction_version(ingest_key) if lake else None


@dataclass(frozen=True)
class Replacements:
    """The rows that a write removes and adds besides the posts it was given.

    removed: ids whose rows leave the lake. posts: rows that come in their place. taken: how many
    posts the lake records for this write; None: as many as it was given.
    """

    removed: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))
    posts: Sequence[pa.RecordBatch] = ()
    taken: int | None = None


def append(home: Home, batches: Iterable[pa.RecordBatch], ingest_key: str) -> None:
    """Add batches of `POST_SCHEMA` in one transaction.

    If the iterable raises, nothing is added.
    """
    write(home, batches, ingest_key, Replacements)


def write(
    home: Home,
    batches: Iterable[pa.RecordBatch],
    ingest_key: str,
    replacements: Callable[[], Replacements],
    at_once: bool = False,
) -> None:
    """Add batches of `POST_SCHEMA` and replace rows, all in one transaction or not at all.

    `replacements` is called when every batch is written, and may name posts of those batches too.
    Files of a write that failed are removed; those of a killed one are no part of the table, and
    the next write removes them. Replaced files stay for `READERS_SECONDS`; with `at_once` this call
    removes them. The data files are written here and not by the lake's engine, whose own threads
    would still be writing after an error.
    """
    _remove_uncommitted(home)
    lake = find_lake(home)
    try:
        added = _write_files(home, lake, batches, ingest_key)
        asked = replacements()
        months, rewritten = _replace(home, lake, added, asked, ingest_key)
        # what was added to a month that is written anew is in its new files already
        files = [action for action in added if action.partition_values[MONTH] not in months]
        posts = sum(_rows(action) for action in added) if asked.taken is None else asked.taken
        _commit(home, lake, files + rewritten, sorted(months), ingest_key, posts)
    except BaseException:
        _remove_uncommitted(home)
        raise
    _remove_uncommitted(home)
    remove_replaced(home, 0 if at_once else READERS_SECONDS)


def _write_files(
    home: Home, lake: Lake | None, batches: Iterable[pa.RecordBatch], name: str, mark: str = ""
) -> list[AddAction]:
    """Write data files in a folder for each month, and return the table's entries for them.

    The posts stay in the order of the batches.
    """
    number = lake.version + 1 if lake else 0
    written: list[AddAction] = []
    pyarrow.dataset.write_dataset(
        pa.RecordBatchReader.from_batches(LAKE_SCHEMA, (_with_month(batch) for batch in batches)),
        home.lake,
        basename_template=f"{number:08d}-{name}-{mark}{{i}}.parquet",
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


def _replace(
    home: Home, lake: Lake | None, added: list[AddAction], asked: Replacements, name: str
) -> tuple[set[str], list[AddAction]]:
    """Write the months anew that hold removed rows, and the posts in their place.

    Returns the months that are written anew, and the table's entries for the new files.
    """
    gone = frozenset(asked.removed.to_pylist())
    paths = [*(lake.paths() if lake else ()), *(home.lake / action.path for action in added)]
    months = {
        month for month, files in Counter(map(_month_of, paths)).items() if files > MOST_FILES
    }
    months |= {_month_of(paths[number]) for number in _files_holding(paths, gone)}
    remaining = (
        batch.filter(pc.invert(is_among(batch["id"], gone)))
        for path in paths
        if _month_of(path) in months
        for batch in read_file(path)
    )
    return months, _write_files(home, lake, _chained(remaining, asked.posts), name, "r")


def read_file(path: Path, columns: Sequence[str] = POST_SCHEMA.names) -> Iterator[pa.RecordBatch]:
    """Yield the posts of one data file in its order.

    It uses no thread of Arrow's, so that it can feed a write.
    """
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=list(columns), use_threads=False):
            yield batch.select(list(columns)).cast(
                pa.schema([POST_SCHEMA.field(name) for name in columns])
            )


def _files_holding(paths: Sequence[Path], ids: frozenset[str]) -> set[int]:
    """Return the numbers of the files that hold rows with some ids."""
    batches = scan(paths, ["id", FILE]) if ids else ()
    held = (batch[FILE].filter(is_among(batch["id"], ids)) for batch in batches)
    return {number for files in held for number in files.unique().to_pylist()}


def _chained(
    remaining: Iterable[pa.RecordBatch], added: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    yield from (batch for batch in remaining if batch.num_rows)
    yield from added


def _month_of(path: Path) -> str:
    return path.parent.name.removeprefix(f"{MONTH}=")


def _rows(action: AddAction) -> int:
    return json.loads(action.stats)["numRecords"]


def _add_action(home: Home, file: pyarrow.dataset.WrittenFile) -> AddAction:
    """Return the table's entry for a data file, after flushing the file to the disk."""
    path = Path(file.path)
    sync(path)
    return AddAction(
        path=path.relative_to(home.lake).as_posix(),
        size=path.stat().st_size,
        partition_values={MONTH: _month_of(path)},
        modification_time=int(path.stat().st_mtime * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": file.metadata.num_rows}),
    )


def _commit(
    home: Home,
    lake: Lake | None,
    files: list[AddAction],
    months: list[str],
    ingest_key: str,
    posts: int,
) -> None:
    """Make files a part of the table, in place of all others of some months, in one step."""
    chain = digest_value([lake.chain if lake else "", ingest_key])
    properties = CommitProperties(
        custom_metadata={"ingest_key": ingest_key, "posts": posts, "chain": chain},
        app_transactions=[Transaction(ingest_key, posts)],
    )
    if lake is None:
        create_table_with_add_actions(
            str(home.lake),
            Schema.from_arrow(LAKE_SCHEMA),
            files,
            partition_by=[MONTH],
            commit_properties=properties,
        )
        return
    replaced = [path for path in lake.paths() if _month_of(path) in months]
    for path in replaced:
        os.utime(path)  # its age is from now on the time for which it has been out of use
    actions: list[AddAction | RemoveAction] = [*files]
    lake.table.create_write_transaction(
        actions,
        mode="overwrite" if months else "append",
        schema=LAKE_SCHEMA,
        partition_by=[MONTH],
        partition_filters=[(MONTH, "in", months)] if months else None,
        commit_properties=properties,
    )


def _remove_uncommitted(home: Home) -> None:
    """Remove data files of a write that has not become a version.

    Their number is that of a version to come, or of the newest one whose own write replaced them.
    """
    lake = find_lake(home)
    newest = lake.version if lake else -1
    for path in unreferenced_files(home):
        if _number_of(path) >= newest:
            path.unlink()


def remove_replaced(home: Home, older_than_seconds: float) -> list[Path]:
    """Remove the files that only earlier versions use, and return them.

    Files that were in use within `older_than_seconds` stay; 0 removes all of them.
    """
    lake = find_lake(home)
    if lake is None:
        return []
    newest = (home.lake / "_delta_log" / f"{lake.version:020d}.json").stat().st_mtime
    # not 0, because the file system's clock is coarse and an age may come out negative
    least = older_than_seconds or float("-inf")
    removed = [path for path in unreferenced_files(home) if newest - path.stat().st_mtime >= least]
    for path in removed:
        path.unlink()
    return removed


def unreferenced_files(home: Home) -> list[Path]:
    """Return the data files that are no part of the newest version."""
    lake = find_lake(home)
    named = set(map(_name, lake.paths())) if lake else set()
    return [path for path in home.lake.glob(f"{MONTH}=*/*.parquet") if _name(path) not in named]


def _name(path: Path) -> str:
    """Return a data file's name with its month's folder: one write uses a name in every month."""
    return f"{path.parent.name}/{path.name}"


def _number_of(path: Path) -> int:
    """Return the version of the lake that a data file was written for; -1 if it names none."""
    number = path.name.partition("-")[0]
    return int(number) if number.isdigit() else -1


def _with_month(batch: pa.RecordBatch) -> pa.RecordBatch:
    months = pc.strftime(batch["created"], format="%Y-%m")
    return pa.RecordBatch.from_arrays([*batch.columns, months], schema=LAKE_SCHEMA)
