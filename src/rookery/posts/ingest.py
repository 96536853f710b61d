"""Ingest: sources' files into the lake, once each, with everything that was not taken set aside.

One ingest is one transaction of the lake. Its key is the digest of the files and of how they were
read, and stands in the lake's history: the same ingest run again, also after a kill, adds nothing.
A post whose id the lake holds is not added again; a later version of it takes its place, and the
live log says so before the lake does, so that older corpora mask the earlier text (`versions.py`).
Where a source gives each version an id of its own, all but the newest are noted as replaced. What
is forgotten is not taken again.
"""

import contextlib
import errno
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import DeltaError

from rookery.core.config import to_plain
from rookery.core.context import Context
from rookery.core.digest import digest_file, digest_value
from rookery.core.errors import DataError, StorageError, UsageError
from rookery.core.home import Home
from rookery.core.locks import exclusive
from rookery.posts import lake, places
from rookery.posts.event import Event, timed
from rookery.posts.live import LiveLog, live_log
from rookery.posts.post import POST_SCHEMA
from rookery.posts.restrictions import FORGOTTEN, SUPERSEDED
from rookery.posts.sources import formats, source_names, tabular
from rookery.posts.sources.bounds import within_bounds
from rookery.posts.sources.files import Read, SetAside, clear_errors
from rookery.posts.versions import (
    ID_TAKEN,
    STORED_SCHEMA,
    VERSION_COLUMNS,
    VersionOutcome,
    Versions,
)

FORMAT_VERSION = 1
PIECE_POSTS, PIECE_BYTES = 250_000, 1 << 28
"""The lake is asked for what it has of so many posts at once."""
_FORGET = ("forget_post", "forget_author")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class IngestReport:
    """What an ingest found and did. `set_aside` counts by reason the rows that are no usable posts.

    `events`: how many of each kind the files told of, now in the live log.
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

    def to_dict(self) -> dict[str, object]:
        return to_plain(self)


@dataclass
class _Counts:
    read: int = 0
    added: int = 0
    edited: int = 0
    already_there: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    events: list[Event] = field(default_factory=list)


def ingest(
    home: Home,
    paths: list[Path],
    mapping: Mapping[str, str] | None,
    context: Context,
    limit: int | None = None,
    source_name: str | None = None,
) -> IngestReport:
    """Take files into the lake, each in the format it shows; with a `mapping` all are tables.
    `limit`: the first rows.

    source_name: what all ids are to begin with, where they are unique within their source only
    (`source_names.py`).

    Raises `UsageError` or `DataError` for what cannot be read; then the lake is as it was.
    """
    sources = [_source(path, mapping) for path in paths]
    if not sources:
        raise UsageError("no file to ingest")
    described = [
        {"file": _digest(path), "how": how} for path, (how, _) in zip(paths, sources, strict=True)
    ]
    if source_name is not None:
        source_names.check_name(source_name)
    key = digest_value(
        {
            "version": FORMAT_VERSION,
            "sources": described,
            "limit": limit,
            "source_name": source_name,
        }
    )[:16]
    formats = ", ".join(sorted({how["format"] for how, _ in sources}))
    named = (_with_names(path, read) for path, (_, read) in zip(paths, sources, strict=True))
    if source_name is not None:
        named = (source_names.under(source_name, read) for read in named)
    return ingest_batches(home, formats, key, lambda: _first(limit, named), context)


def ingest_batches(
    home: Home, name: str, key: str, read: Callable[[], Read], context: Context
) -> IngestReport:
    """Add what `read` yields in one transaction, unless the lake's history holds this key
    already.
    """
    aside_path = home.set_aside / f"{key}.jsonl"
    with exclusive(home.path / "lake.lock", "the lake"), _disk_errors(home):
        if (done := lake.find_ingest(home, key)) is not None:
            counts = _Counts(already_there=done, set_aside=_reasons_in(aside_path))
            counts.read = done + counts.set_aside.total()
        else:
            counts = _Counts()
            home.set_aside.mkdir(exist_ok=True)
            try:
                with live_log(home) as log:
                    taking = _IngestSession(home, log, context)
                    posts = _told(taking, read, aside_path, counts, context)
                    lake.write(home, posts, key, lambda: taking.settle(counts))
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
    )


class _IngestSession:
    """One ingest into the lake as it stands now: which of the posts read are new, and what they
    replace.

    The log is only asked here and in `settle`: the lake's writer reads the posts in a thread of its
    own.
    """

    def __init__(self, home: Home, log: LiveLog, context: Context):
        found = lake.find_lake(home)
        self._home, self._log, self._context = home, log, context
        self._paths = found.paths() if found else []
        self._coming_version = found.version + 1 if found else 0
        self._forgotten = [
            pa.array([e.subject for e, _ in log.of_kind(k)], pa.string()) for k in _FORGET
        ]
        self._scrubs = places.scrubs(log)
        self._versions = Versions()
        self._groups: set[str] = set()

    def sort_out(self, posts: pa.Table) -> VersionOutcome:
        """What becomes of a piece of the posts; none of them is forgotten."""
        self._groups.update(posts["version_of"].drop_null().to_pylist())
        return self._versions.sort_out(posts, self._stored(posts["id"].combine_chunks()))

    def without_forgotten(self, posts: pa.Table) -> tuple[pa.Table, list[str]]:
        """The posts that are not forgotten, without places that were scrubbed; and the ids of the
        others.
        """
        by_id, by_author = (
            pc.is_in(posts[c], f) for c, f in zip(("id", "author"), self._forgotten, strict=True)
        )
        forgotten = pc.or_(by_id, by_author)
        left = posts.filter(pc.invert(forgotten))
        batches = [places.scrubbed(batch, self._scrubs) for batch in left.to_batches()]
        return pa.Table.from_batches(batches, POST_SCHEMA), posts["id"].filter(
            forgotten
        ).to_pylist()

    def settle(self, counts: _Counts) -> lake.Replacements:
        """What replaces what; that, and the events beside the posts, are in the log when this
        returns.
        """
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
        gone, posts = self._versions.replaced(), self._versions.replacing()
        return lake.Replacements(gone, posts, counts.added + counts.edited)

    def _stored(self, ids: pa.Array) -> pa.Table:
        """What the lake has under some ids; versions of them under other ids are noted on the
        way.
        """
        found = []
        for path in self._paths:
            is_met = False
            for batch in lake.read_file(path, ["id", "version_of"]):
                is_met |= bool(pc.any(pc.is_in(batch["id"], ids)).as_py())
                groups = batch["version_of"].drop_null()
                self._groups.update(groups.filter(pc.is_in(groups, ids)).to_pylist())
            if is_met:
                held = (
                    batch.filter(pc.is_in(batch["id"], ids))
                    for batch in lake.read_file(path, VERSION_COLUMNS)
                )
                found += [batch for batch in held if batch.num_rows]
        return pa.Table.from_batches(found, STORED_SCHEMA)


def _replacements(groups: set[str], paths: Iterable[Path]) -> list[Event]:
    """For groups of versions with ids of their own: each but the newest is replaced by that one."""
    members: dict[str, list[tuple]] = {}
    wanted = pa.array(sorted(groups), pa.string())
    for path in paths if groups else ():
        for batch in lake.read_file(path, ["id", "version_of", "edited", "created"]):
            group, when = (
                pc.coalesce(batch[a], batch[b])
                for a, b in (("version_of", "id"), ("edited", "created"))
            )
            of_group = pc.is_in(group, wanted)
            rows = [column.filter(of_group).to_pylist() for column in (group, when, batch["id"])]
            for name, at, id_ in zip(*rows, strict=True):
                members.setdefault(name, []).append((at, len(id_), id_))
    newest = {name: max(found)[2] for name, found in members.items()}
    old = [
        (id_, newest[name]) for name, found in sorted(members.items()) for *_, id_ in sorted(found)
    ]
    return [Event("replace_post", id_, value=new) for id_, new in old if id_ != new]


def _told(
    taking: _IngestSession,
    read: Callable[[], Read],
    aside_path: Path,
    counts: _Counts,
    context: Context,
) -> Iterator[pa.RecordBatch]:
    """The new posts; what stood beside them is on the disk before the last batch, and so before the
    lake's commit.
    """
    partial = aside_path.with_suffix(".part")
    try:
        with (
            open(partial, "w", encoding="utf-8") as aside,
            context.progress.task("reading posts", None, "posts") as task,
        ):
            yield from _new_posts(
                taking, within_bounds(read(), context.clock.now()), aside, counts, task
            )
        if not counts.read and not counts.events:
            raise DataError(
                "there is not one row to take", hint="Check that these are the right files"
            )
        if counts.set_aside:
            os.replace(partial, aside_path)
    finally:
        partial.unlink(missing_ok=True)


def _reasons_in(aside_path: Path) -> Counter[str]:
    """How many rows an earlier ingest set aside, by reason."""
    if not aside_path.exists():
        return Counter()
    with open(aside_path, encoding="utf-8") as lines:
        return Counter(json.loads(line)["reason"] for line in lines)


def _source(path: Path, mapping: Mapping[str, str] | None) -> tuple[dict, Callable[[], Read]]:
    """What a file is, as a value for the ingest's key, and how to read it."""
    if not path.exists():
        raise UsageError("there is no such file", where=path)
    if (mapping is None or path.suffix.lower() == ".zip") and (source := formats.source_of(path)):
        return {"format": formats.name_of(source)}, lambda: source.read(path)
    kind = tabular.kind_of(path)
    resolved = tabular.resolve_mapping(path, mapping)

    return {"format": kind, "map": resolved}, lambda: tabular.read_posts(path, resolved)


def _digest(path: Path) -> str:
    with clear_errors(path):
        return digest_file(path)


def _with_names(path: Path, read: Callable[[], Read]) -> Read:
    """What was set aside, with the file where it stands."""
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


def _first(limit: int | None, sources: Iterable[Read]) -> Read:
    """The first `limit` rows of all sources together, the unusable ones counted too, the events
    beside them not.
    """
    left = limit
    for source in sources:
        for batch, beside in source:
            if left is None:
                yield batch, beside
                continue
            events, aside = _sorted_out(beside)
            aside = aside[:left]
            batch = batch.slice(0, left - len(aside))
            yield batch, aside + events
            left -= batch.num_rows + len(aside)
            if left <= 0:
                return


def _sorted_out(beside: list[SetAside | Event]) -> tuple[list[Event], list[SetAside]]:
    events = [item for item in beside if isinstance(item, Event)]
    return events, [item for item in beside if isinstance(item, SetAside)]


def _new_posts(
    taking: _IngestSession, read: Read, aside_file, counts: _Counts, task
) -> Iterator[pa.RecordBatch]:
    """The posts that are new; what is not taken is counted, and written down with its reason."""
    for posts, beside in _pieces(read, task):
        events, aside = _sorted_out(beside)
        counts.events += events
        counts.read += posts.num_rows + len(aside)
        left, forgotten = taking.without_forgotten(posts)
        found = taking.sort_out(left)
        aside += [SetAside(f"id {row['id']}", ID_TAKEN, row) for row in found.id_taken.to_pylist()]
        aside += [SetAside(f"id {id_}", SUPERSEDED, None) for id_ in found.superseded]
        aside += [SetAside(f"id {id_}", FORGOTTEN, None) for id_ in forgotten]
        for item in aside:
            counts.set_aside[item.reason] += 1
            aside_file.write(json.dumps(to_plain(item), ensure_ascii=False, default=str) + "\n")
        counts.already_there += found.already_there
        counts.added += found.new.num_rows
        yield from found.new.to_batches()


def _pieces(read: Read, task) -> Iterator[tuple[pa.Table, list[SetAside | Event]]]:
    """What was read, in pieces of about `PIECE_POSTS` posts and at most about `PIECE_BYTES`."""
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
    """A full disk, however the storage layer words it, is one clear error."""
    try:
        yield
    except (OSError, DeltaError) as error:
        # the lake's engine gives no errno, but the system's words for it
        if not any(
            number == getattr(error, "errno", None) or f"os error {number})" in str(error)
            for number in _FULL
        ):
            raise
        hint = "Nothing was added; free some space and run the same command again"
        raise StorageError("the disk is full", where=home.path, hint=hint) from None
