"""The lake: all posts, in one Delta Lake table with a folder for each month.

The lake is mutable: every write makes a new version, and a stage names the version that it read. A
write is one transaction: it is there whole or not at all, also after a kill. Each ingest leaves its
key in the table (as an application's transaction, Delta protocol "txn"), so that the same ingest
run again adds nothing; neither this nor the lake's name gets slower as commits become many. A write
may also remove rows (an edit's earlier text): the months that hold them are written anew in the
same transaction. Each row bears the post's number, by which posts are read in the order of their
arrival (`numbering/files.py`, `feed.py`).

Not here: which posts an ingest writes and removes (`ingest.py`, `versions.py`) and what may be done
with a post (`rights.py`).
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
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
from rookery.core.errors import BusyError, StorageError, UsageError
from rookery.core.home import Home
from rookery.posts.live import live_log
from rookery.posts.numbering.book import PLACED, commit_file, open_book
from rookery.posts.numbering.files import (
    NUMBER,
    NUMBERED_SCHEMA,
    Before,
    batches_of,
    file_name,
    number_stats,
    read_numbered,
    version_of,
)
from rookery.posts.numbering.order import NumberedRows, in_order
from rookery.posts.numbering.places import COMING, WritePlaces, with_coming_numbers, with_places
from rookery.posts.post import POST_SCHEMA

MONTH = "month"
LAKE_SCHEMA = NUMBERED_SCHEMA.append(pa.field(MONTH, pa.string(), nullable=False))
ADDED_COLUMNS = frozenset({NUMBER.name, "sensitive", "media"})
"""Columns that a lake of a release before lacks: none of its rows has a value for them."""
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
    def columns(self) -> frozenset[str]:
        """Return the names of the table's columns; a release before had fewer."""
        return frozenset(column.name for column in self.table.schema().fields)

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

    def sources(self, before: Before, after: int, until: int) -> list[NumberedRows]:
        """Return the data files that hold posts with numbers over `after` and up to `until`.

        Their batches are of `NUMBERED_SCHEMA`. `in_order` yields them in the order of numbers.
        """
        actions = pa.table(self.table.get_add_actions(flatten=True)).to_pylist()
        sources = []
        folder = Path(unquote(self.table.table_uri.removeprefix("file://")))
        for action in actions:
            path = folder / unquote(action["path"])
            held = [action.get(f"{bound}.{NUMBER.name}") for bound in ("min", "max")]
            least, most = before.bounds(path, held[0], held[1], 0, action["num_records"])
            if most > after and least <= until:
                read = partial(_read_between, path, before, after, until)
                sources.append(NumberedRows(max(least, after + 1), read))
        return sources


def _read_between(path: Path, before: Before, after: int, until: int) -> Iterator[pa.RecordBatch]:
    with _nothing_erased():
        yield from read_numbered(path, before, after, until)


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

    Raises `UsageError` for a lake whose posts have other fields than `POST_SCHEMA`, unless it only
    lacks some of `ADDED_COLUMNS`.
    """
    try:
        lake = Lake(DeltaTable(str(home.lake)))
    except TableNotFoundError:
        return None
    if not lake.columns.symmetric_difference(LAKE_SCHEMA.names) <= ADDED_COLUMNS:
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
    """The rows that a write removes, adds and changes besides the posts it was given.

    removed: ids whose rows leave the lake. posts: rows that come in their place, as new arrivals.
    changed: ids of rows that stay, with their numbers, as `change` returns them. taken: how many
    posts the lake records for this write; None: as many as it was given.
    """

    removed: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))
    posts: Sequence[pa.RecordBatch] = ()
    taken: int | None = None
    changed: frozenset[str] = frozenset()
    change: Callable[[pa.RecordBatch], pa.RecordBatch] = lambda batch: batch


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
    numbers: Mapping[str, int] | None = None,
) -> None:
    """Add batches of `POST_SCHEMA` and replace rows, all in one transaction or not at all.

    `replacements` is called when every batch is written, and may name posts of those batches too.
    numbers: those that the posts have already, by id; None: they get them when this write is in the
    lake. Files of a write that failed are removed; those of a killed one are no part of the table,
    and the next write removes them. Replaced files stay for `READERS_SECONDS`; with `at_once` this
    call removes them. The data files are written here and not by the lake's engine, whose own
    threads would still be writing after an error.
    """
    _remove_uncommitted(home)
    evolve(home)
    lake = find_lake(home)
    places = WritePlaces(numbers)
    try:
        added = _write_files(home, lake, map(places.numbered, batches), ingest_key)
        asked = replacements()
        posts = sum(map(_rows, added)) if asked.taken is None else asked.taken
        asked = replace(asked, posts=[places.numbered(batch) for batch in asked.posts])
        months, rewritten = _replace(home, lake, added, asked, ingest_key)
        # what was added to a month that is written anew is in its new files already
        files = [action for action in added if action.partition_values[MONTH] not in months]
        _commit(home, lake, files + rewritten, sorted(months), ingest_key, posts, places.placed)
    except BaseException:
        _remove_uncommitted(home)
        raise
    # the posts are in; if the log cannot give them their numbers now, whoever looks next does
    with suppress(StorageError), live_log(home) as log:
        open_book(home, log)
    _remove_uncommitted(home)
    remove_replaced(home, 0 if at_once else READERS_SECONDS)


def evolve(home: Home) -> None:
    """Give the lake of a release before the columns that posts have by now.

    It is a version of its own. The caller must hold the lake's lock.
    """
    lake = find_lake(home)
    missing = [column for column in LAKE_SCHEMA if lake and column.name not in lake.columns]
    if lake is None or not missing:
        return
    with live_log(home) as log:
        open_book(home, log)  # it knows such a lake by the lack of numbers
    lake.table.alter.add_columns(
        Schema.from_arrow(pa.schema(missing)).fields,
        commit_properties=CommitProperties(custom_metadata={"chain": lake.chain}),
    )


def _write_files(
    home: Home, lake: Lake | None, batches: Iterable[pa.RecordBatch], name: str, mark: str = ""
) -> list[AddAction]:
    """Write data files in a folder for each month, and return the table's entries for them.

    batches: of `NUMBERED_SCHEMA`; the posts stay in their order.
    """
    version = lake.version + 1 if lake else 0
    written: list[AddAction] = []
    format = pyarrow.dataset.ParquetFileFormat()
    pyarrow.dataset.write_dataset(
        pa.RecordBatchReader.from_batches(LAKE_SCHEMA, (_with_month(batch) for batch in batches)),
        home.lake,
        basename_template=f"{version:08d}-{name}-{mark}{{i}}.parquet",
        format="parquet",
        file_options=format.make_write_options(
            compression="zstd",
            use_dictionary=POST_SCHEMA.names,
            column_encoding={NUMBER.name: "DELTA_BINARY_PACKED"},
        ),
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
    files_of = Counter(map(_month_of, paths))
    months = {month for month, files in files_of.items() if files > MOST_FILES}
    months |= {_month_of(paths[number]) for number in _files_holding(paths, gone | asked.changed)}
    if not months and not asked.posts:
        return months, []
    with live_log(home) as log:
        before = open_book(home, log).before()
    version = lake.version + 1 if lake else 0
    before = replace(before, writes={**before.writes, version: COMING})

    def left_in(path: Path) -> Iterator[pa.RecordBatch]:
        for batch in read_numbered(path, before):
            left = batch.filter(pc.invert(is_among(batch["id"], gone))) if gone else batch
            yield asked.change(left)

    coming = _by_month(asked.posts) if asked.posts else {}
    sources: dict[str, list[NumberedRows]] = {month: [] for month in sorted({*months, *coming})}
    for path in paths:
        if _month_of(path) in months:
            sources[_month_of(path)].append(NumberedRows(0, partial(left_in, path)))
    for month, table in coming.items():
        sources[month].append(NumberedRows(0, table.to_batches))
    merged = (table for of in sources.values() for table in in_order(of, BATCH_ROWS))
    batches = (with_places(batch) for table in merged for batch in table.to_batches())
    return months, _write_files(home, lake, batches, name, "r")


def _by_month(batches: Sequence[pa.RecordBatch]) -> dict[str, pa.Table]:
    """Return the posts of the write at hand by month, in the order of their numbers."""
    posts = pa.Table.from_batches(map(with_coming_numbers, batches)).sort_by(NUMBER.name)
    months = _months(posts["created"])
    return {month: posts.filter(pc.equal(months, month)) for month in months.unique().to_pylist()}


def read_file(path: Path, columns: Sequence[str] = POST_SCHEMA.names) -> Iterator[pa.RecordBatch]:
    """Yield the posts of one data file in its order.

    It uses no thread of Arrow's, so that it can feed a write.
    """
    schema = pa.schema([POST_SCHEMA.field(name) for name in columns])
    with pq.ParquetFile(path) as file:
        yield from batches_of(file, schema, BATCH_ROWS)


def _files_holding(paths: Sequence[Path], ids: frozenset[str]) -> set[int]:
    """Return the numbers of the files that hold rows with some ids."""
    batches = scan(paths, ["id", FILE]) if ids else ()
    held = (batch[FILE].filter(is_among(batch["id"], ids)) for batch in batches)
    return {number for files in held for number in files.unique().to_pylist()}


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
        stats=json.dumps({"numRecords": file.metadata.num_rows, **number_stats(file.metadata)}),
    )


def _commit(
    home: Home,
    lake: Lake | None,
    files: list[AddAction],
    months: list[str],
    ingest_key: str,
    posts: int,
    placed: int,
) -> None:
    """Make files a part of the table, in place of all others of some months, in one step."""
    chain = digest_value([lake.chain if lake else "", ingest_key])
    told = {"ingest_key": ingest_key, "posts": posts, "chain": chain, PLACED: placed}
    transactions = [Transaction(ingest_key, posts)]
    properties = CommitProperties(custom_metadata=told, app_transactions=transactions)
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
        if version_of(path) >= newest:
            path.unlink()


def remove_replaced(home: Home, older_than_seconds: float) -> list[Path]:
    """Remove the files that only earlier versions use, and return them.

    Files that were in use within `older_than_seconds` stay; 0 removes all of them.
    """
    lake = find_lake(home)
    if lake is None:
        return []
    newest = commit_file(home, lake.version).stat().st_mtime
    # not 0, because the file system's clock is coarse and an age may come out negative
    least = older_than_seconds or float("-inf")
    removed = [path for path in unreferenced_files(home) if newest - path.stat().st_mtime >= least]
    for path in removed:
        path.unlink()
    return removed


def unreferenced_files(home: Home) -> list[Path]:
    """Return the data files that are no part of the newest version."""
    lake = find_lake(home)
    named = set(map(file_name, lake.paths())) if lake else set()
    return [path for path in home.lake.glob(f"{MONTH}=*/*.parquet") if file_name(path) not in named]


def _with_month(batch: pa.RecordBatch) -> pa.RecordBatch:
    months = _months(batch["created"])
    return pa.RecordBatch.from_arrays([*batch.columns, months], schema=LAKE_SCHEMA)


def _months(created: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    return pc.strftime(created, format="%Y-%m")
