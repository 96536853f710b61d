"""Ingest: takes files of posts into the lake, once each, and sets aside what it cannot take.

One ingest is one transaction of the lake. Its key is the digest of the files and of how they were
read, and is part of the lake's history: the same ingest run again, also after a kill, adds nothing.
A post whose id the lake holds is not added again; a later version of it takes its place, and the
live log records that before the lake does, so that older corpora mask the earlier text
(`versions.py`). If a source gives each version an id of its own, all but the newest are recorded as
replaced. What is forgotten is not taken again.

Not here: what a source's file means (`sources/`), how files are written (`lake.py`), and live
streams (`follow.py`).
"""

import contextlib
import errno
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import DeltaError

from rookery.core.arrays import is_among
from rookery.core.config import to_plain
from rookery.core.context import Context, Task
from rookery.core.digest import digest_file, digest_value
from rookery.core.errors import DataError, StorageError, UsageError
from rookery.core.home import Home
from rookery.core.locks import exclusive
from rookery.posts import lake, set_aside
from rookery.posts.event import Event, timed
from rookery.posts.inputs import Bundle, Input, find_inputs
from rookery.posts.live import LiveLog, live_log
from rookery.posts.log import places
from rookery.posts.post import POST_SCHEMA, Visibility
from rookery.posts.restrictions import FORGOTTEN, SUPERSEDED
from rookery.posts.sources import formats, source_names, tabular
from rookery.posts.sources.bounds import within_bounds
from rookery.posts.sources.dates import DateOrder
from rookery.posts.sources.files import Read, SetAside, clear_errors
from rookery.posts.sources.tables.judging import TableOptions
from rookery.posts.sources.tables.shortfall import RowTally
from rookery.posts.sources.tabular import PostTable
from rookery.posts.versions import (
    ID_TAKEN,
    StoredVersions,
    VersionOutcome,
    Versions,
)

FORMAT_VERSION = 1
PIECE_POSTS, PIECE_BYTES = 250_000, 1 << 28
"""The size of a piece of an ingest, which is compared with the lake as a whole."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class IngestReport:
    """A count of what an ingest read and did.

    set_aside: the rows that are no usable posts, by reason. events: the events that the files
    reported and the live log now holds, by kind. vouched: of the posts that were there, those of
    which only now somebody says who may read them. notes: what a person should know, such as that
    nobody has said who may read the posts. not_read: files in archives and folders that are in no
    known format.
    """

    format: str
    read: int
    added: int
    edited: int
    already_there: int
    set_aside: dict[str, int]
    events: dict[str, int]
    set_aside_path: str | None
    lake_version: int | None
    vouched: int = 0
    notes: list[str] = field(default_factory=list)
    not_read: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, object]:
        """Return the report as JSON values."""
        return to_plain(self)


@dataclass
class _Counts:
    read: int = 0
    added: int = 0
    edited: int = 0
    already_there: int = 0
    vouched: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    events: list[Event] = field(default_factory=list)


def ingest(
    home: Home,
    paths: Sequence[str | Path],
    mapping: Mapping[str, str] | None = None,
    context: Context = Context(),
    limit: int | None = None,
    source_name: str | None = None,
    visibility: Visibility | None = None,
    dates: DateOrder | None = None,
    anyway: bool = False,
) -> IngestReport:
    """Take files, and what folders and archives hold, into the lake, each in its own format.

    mapping: the column for each field; if it is given, all files are read as tables, and whoever
    gives it vouches that the posts are public. limit: take only so many rows from the beginning.
    source_name: a prefix for all ids, for a source whose ids are unique within it only
    (`source_names.py`). visibility: of a table's posts of which no column says who may read them,
    `unknown` without it; `public` also vouches for what an X archive leaves open (`x_archive.py`).
    dates: the order of day and month, where a table's dates fit both. anyway: take a table also if
    under half of its rows can be taken. Raises `UsageError` or `DataError` for what cannot be read;
    then the lake is as it was.
    """
    files, not_read = find_inputs(map(Path, paths), mapping, visibility == "public")
    options = TableOptions(mapping, visibility, dates)
    sources = [_source(path, options) for path in files]
    if not sources:
        raise UsageError("no file to ingest")
    descriptions = [
        {"file": _digest(path), "how": how} for path, (how, *_) in zip(files, sources, strict=True)
    ]
    if source_name is not None:
        source_names.check_name(source_name)
    bundles = [one for one in files if isinstance(one, Bundle)]
    tables = [table for *_, table in sources if table]
    key = digest_value(
        {
            "version": FORMAT_VERSION,
            "sources": descriptions,
            "limit": limit,
            "source_name": source_name,
        }
        # of tables the descriptions tell it
        | ({"visibility": visibility} if visibility and bundles else {})
    )[:16]
    formats = ", ".join(sorted({how["format"] for how, *_ in sources}))
    now = context.clock.now()
    reads = (
        (_with_names(path, read), None if anyway or table is None else RowTally(table.path))
        for path, (_, read, table) in zip(files, sources, strict=True)
    )
    if source_name is not None:
        reads = ((source_names.prefix_ids(source_name, read), check) for read, check in reads)
    bounded = ((within_bounds(read, now), check) for read, check in reads)
    report = ingest_batches(home, formats, key, lambda: _first(limit, bounded), context)
    said = [bundle.unvouched() for bundle in bundles] + [table.unvouched() for table in tables]
    notes = [note for note in said if note]
    return replace(report, notes=notes, not_read=not_read)


def ingest_batches(
    home: Home,
    name: str,
    key: str,
    read: Callable[[], Read],
    context: Context,
    numbers: Mapping[str, int] | None = None,
) -> IngestReport:
    """Add what `read` yields in one transaction, unless the lake's history has this key already.

    The posts that it yields are within bounds (`sources/bounds.py`). numbers: as `lake.write` takes
    them.
    """
    aside_path = home.set_aside / f"{key}.jsonl"
    with exclusive(home.path / "lake.lock", "the lake"), _disk_errors(home):
        for left_by_a_kill in home.set_aside.glob("*.part"):  # nobody else writes under this lock
            left_by_a_kill.unlink()
        if (done := lake.find_ingest(home, key)) is not None:
            counts = _Counts(already_there=done, set_aside=set_aside.reasons_in(aside_path))
            counts.read = done + counts.set_aside.total()
        else:
            counts = _Counts()
            lake.evolve(home)  # before anything names the version to come
            home.set_aside.mkdir(exist_ok=True)
            try:
                with live_log(home) as log:
                    session = _IngestSession(home, log, context)
                    posts = _posts_to_write(session, read, aside_path, counts, context)
                    finish = partial(session.finish, counts)
                    lake.write(home, posts, key, finish, numbers=numbers)
            except BaseException:
                aside_path.unlink(missing_ok=True)
                raise
    return IngestReport(
        name,
        counts.read,
        counts.added,
        counts.edited,
        counts.already_there,
        dict(counts.set_aside),
        dict(Counter(event.kind for event in counts.events)),
        str(aside_path) if counts.set_aside else None,
        lake.open_lake(home).version,
        counts.vouched,
    )


class _IngestSession:
    """One ingest: it decides which of the posts read are new, and what they replace in the lake.

    Only `__init__` and `finish` use the log: the lake's writer calls the other methods in a thread
    of its own, and a log belongs to one thread.
    """

    def __init__(self, home: Home, log: LiveLog, context: Context):
        found = lake.find_lake(home)
        self._paths = found.paths() if found else []
        self._home, self._log, self._context = home, log, context
        self._stored = StoredVersions(self._paths)
        self._coming_version = found.version + 1 if found else 0
        self._forgotten_posts = frozenset(log.subjects_of_kind("forget_post"))
        self._forgotten_authors = frozenset(log.subjects_of_kind("forget_author"))
        self._replaced = frozenset(log.subjects_of_kind("replace_post"))
        self._scrubs = places.scrubs(log)
        self._versions = Versions()
        self._groups: set[str] = set()

    def sort_out(self, posts: pa.Table) -> VersionOutcome:
        """Return the decisions on a piece of the posts, of which none is forgotten."""
        self._groups.update(posts["version_of"].drop_null().to_pylist())
        self._groups |= self._stored.groups_among(posts["id"])
        return self._versions.sort_out(posts, self._stored.among(posts["id"]))

    def without_forgotten(self, posts: pa.Table) -> tuple[pa.Table, list[SetAside]]:
        """Return the posts that are not forgotten, and the others set aside.

        The posts come without the places that were scrubbed. A version that was replaced for good
        is set aside too, unless the lake holds it still: an erasure took it out.
        """
        by_author = is_among(posts["author"], self._forgotten_authors)
        forgotten = pc.or_(is_among(posts["id"], self._forgotten_posts), by_author)
        replaced = pc.and_not(is_among(posts["id"], self._replaced), forgotten)
        held = self._stored.among(posts["id"].filter(replaced))["id"]
        replaced = pc.and_not(replaced, is_among(posts["id"], frozenset(held.to_pylist())))
        aside = _named(posts.filter(replaced), SUPERSEDED)
        aside += _named(posts.filter(forgotten), FORGOTTEN)
        left = posts.filter(pc.invert(pc.or_(forgotten, replaced)))
        batches = [places.scrubbed(batch, self._scrubs) for batch in left.to_batches()]
        return pa.Table.from_batches(batches, POST_SCHEMA), aside

    def finish(self, counts: _Counts) -> lake.Replacements:
        """Record all events of the ingest in the log, and return the rows that replace others."""
        clock = self._context.clock
        edits = self._versions.edits()
        events = [
            Event("edit_post", id_, value=str(self._coming_version), happened=at)
            for id_, at in edits
        ]
        written = sorted(
            self._home.lake.glob(f"{lake.MONTH}=*/{self._coming_version:08d}-*.parquet")
        )
        events += _replacements(self._groups, [*self._paths, *written])
        events += [timed(event, clock.now()) for event in counts.events]
        self._log.record(events, clock)
        counts.edited = len(edits)
        counts.vouched = self._versions.vouched().num_rows
        removed, posts = self._versions.replaced(), self._versions.replacing()
        return lake.Replacements(removed, posts, counts.added + counts.edited)


def _replacements(groups: set[str], paths: Sequence[Path]) -> list[Event]:
    """Return the events of groups of versions: each but the newest is replaced by the newest.

    A group is the versions of one post that have ids of their own.
    """
    members: dict[str, list[tuple]] = {}
    columns = ["id", "version_of", "edited", "created"]
    for batch in lake.scan(paths, columns) if groups else ():
        group, when = (
            pc.coalesce(batch[a], batch[b])
            for a, b in (("version_of", "id"), ("edited", "created"))
        )
        of_group = is_among(group, groups)
        rows = [column.filter(of_group).to_pylist() for column in (group, when, batch["id"])]
        for name, at, id_ in zip(*rows, strict=True):
            members.setdefault(name, []).append((at, len(id_), id_))
    newest = {name: max(found)[2] for name, found in members.items()}
    old = [
        (id_, newest[name]) for name, found in sorted(members.items()) for *_, id_ in sorted(found)
    ]
    return [Event("replace_post", id_, value=new) for id_, new in old if id_ != new]


def _posts_to_write(
    session: _IngestSession,
    read: Callable[[], Read],
    aside_path: Path,
    counts: _Counts,
    context: Context,
) -> Iterator[pa.RecordBatch]:
    """Yield the new posts, and write the rows set aside to their file.

    That file is complete before the last batch, and so before the lake's commit.
    """
    partial = aside_path.with_suffix(".part")
    try:
        with (
            open(partial, "w", encoding="utf-8") as aside,
            context.progress.task("reading posts", None, "posts") as task,
        ):
            yield from _new_posts(session, read(), aside, counts, task)
        if not counts.read and not counts.events:
            raise DataError(
                "there is not one row to take", hint="Check that these are the right files"
            )
        if counts.set_aside:
            os.replace(partial, aside_path)
    finally:
        partial.unlink(missing_ok=True)


def _source(
    path: Input, options: TableOptions = TableOptions()
) -> tuple[dict, Callable[[], Read], PostTable | None]:
    """Return a description of a file for the ingest's key, the function that reads it, its table.

    The table is None for a file of another source.
    """
    if isinstance(path, Bundle):
        return path.how, path.read, None
    if source := formats.source_to_read(path, options.mapping is not None):
        return formats.description_of(source), lambda: source.read(path), None
    table = tabular.open_table(path, options)
    table.check()
    return table.description(), table.read, table


def _digest(path: Input) -> str:
    if isinstance(path, Bundle):
        return path.digest()
    with clear_errors(path):
        return digest_file(path)


def _with_names(path: Input, read: Callable[[], Read]) -> Read:
    """Yield what was read, with the file's name in the place of each row set aside."""
    for batch, beside in read():
        yield (
            batch,
            [
                item
                if isinstance(item, Event)
                else replace(item, where=f"{path.name}, {item.where}")
                for item in beside
            ],
        )


def _first(limit: int | None, sources: Iterable[tuple[Read, RowTally | None]]) -> Read:
    """Yield the first `limit` rows of all sources together.

    Rows that are set aside count too; events do not. Raises `DataError` for a source of which the
    check does not accept what was read.
    """
    left = limit
    for source, check in sources:
        for batch, beside in source:
            if check is not None:
                check.count(batch.num_rows, beside)
            if left is not None:
                events, aside = _separated(beside)
                aside = aside[:left]
                batch = batch.slice(0, left - len(aside))
                beside = aside + events
                left -= batch.num_rows + len(aside)
            yield batch, beside
            if left == 0:
                break
        if check is not None:
            check.end()
        if left == 0:
            return


def _separated(beside: list[SetAside | Event]) -> tuple[list[Event], list[SetAside]]:
    events = [item for item in beside if isinstance(item, Event)]
    return events, [item for item in beside if isinstance(item, SetAside)]


def _new_posts(
    session: _IngestSession, read: Read, aside_file: IO[str], counts: _Counts, task: Task
) -> Iterator[pa.RecordBatch]:
    """Yield the posts that are new; count the others, and write them down with the reason."""
    for posts, beside in _pieces(read, task):
        events, aside = _separated(beside)
        counts.events += events
        counts.read += posts.num_rows + len(aside)
        left, gone = session.without_forgotten(posts)
        found = session.sort_out(left)
        aside += gone + _named(found.id_taken, ID_TAKEN)
        aside += [SetAside(f"id {id_}", SUPERSEDED, id=id_) for id_ in found.superseded]
        for item in aside:
            counts.set_aside[item.reason] += 1
            aside_file.write(set_aside.line_of(item))
        counts.already_there += found.already_there
        counts.added += found.new.num_rows
        yield from found.new.to_batches()


def _named(posts: pa.Table, reason: str) -> list[SetAside]:
    """Return posts as rows set aside for a reason."""
    rows = posts.select(["id", "author"]).to_pylist()
    return [SetAside(f"id {row['id']}", reason, id=row["id"], author=row["author"]) for row in rows]


def _pieces(read: Read, task: Task) -> Iterator[tuple[pa.Table, list[SetAside | Event]]]:
    """Yield what was read in pieces of about `PIECE_POSTS` posts, at most about `PIECE_BYTES`."""
    batches: list[pa.RecordBatch] = []
    beside: list[SetAside | Event] = []
    for batch, more in read:
        batches.append(batch)
        beside += more
        task.advance(batch.num_rows)
        rows = sum(b.num_rows for b in batches) + len(beside)
        if rows >= PIECE_POSTS or sum(b.nbytes for b in batches) >= PIECE_BYTES:
            yield pa.Table.from_batches(batches, POST_SCHEMA), beside
            batches, beside = [], []
    yield pa.Table.from_batches(batches, POST_SCHEMA), beside


@contextlib.contextmanager
def _disk_errors(home: Home) -> Iterator[None]:
    """Raise `StorageError` for a full disk, however the storage layer reports it."""
    try:
        yield
    except (OSError, DeltaError) as error:
        # the lake's engine gives no errno, but the system's message for it
        if not any(
            number == getattr(error, "errno", None) or f"os error {number})" in str(error)
            for number in _FULL
        ):
            raise
        hint = "Nothing was added; free some space and run the same command again"
        raise StorageError("the disk is full", where=home.path, hint=hint) from None
