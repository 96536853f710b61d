"""Ingest: sources' files into the lake, once each, with everything that was not taken set aside.

One ingest is one transaction of the lake. Its key is the digest of the files and of how they were
read, and stands in the lake's history: the same ingest run again, also after a kill, adds nothing.
A post whose id the lake holds is not added again (edits come with a later release).
"""

import contextlib
import errno
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake.exceptions import DeltaError

from rookery.core.config import to_plain
from rookery.core.context import Context
from rookery.core.digest import digest_file, digest_value, hash_ids
from rookery.core.errors import DataError, StorageError, UsageError
from rookery.core.home import Home
from rookery.core.stage import exclusive
from rookery.posts import formats, lake, tabular
from rookery.posts.bounds import within_bounds
from rookery.posts.files import Read, SetAside, clear_errors
from rookery.posts.live import Event, live_log, timed

FORMAT_VERSION = 1
DUPLICATE_ID = "duplicate_id"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class IngestReport:
    """What an ingest found and did. `set_aside` counts by reason the rows that are no usable posts.

    `events`: how many of each kind the files told of, now in the live log.
    """

    format: str
    read: int
    added: int
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
    already_there: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    events: list[Event] = field(default_factory=list)


def ingest(
    home: Home, paths: list[Path], mapping: Mapping[str, str] | None, context: Context, limit: int | None = None
) -> IngestReport:
    """Take files into the lake, each in the format it shows; with a `mapping` all are tables. `limit`: the first rows.

    Raises `UsageError` or `DataError` for what cannot be read; then the lake is as it was.
    """
    sources = [_source(path, mapping) for path in paths]
    if not sources:
        raise UsageError("no file to ingest")
    described = [{"file": _digest(path), "how": how} for path, (how, _) in zip(paths, sources, strict=True)]
    key = digest_value({"version": FORMAT_VERSION, "sources": described, "limit": limit})[:16]
    formats = ", ".join(sorted({how["format"] for how, _ in sources}))
    named = (_with_names(path, read) for path, (_, read) in zip(paths, sources, strict=True))
    return take_in(home, formats, key, lambda: _first(limit, named), context)


def take_in(home: Home, name: str, key: str, read: Callable[[], Read], context: Context) -> IngestReport:
    """Add what `read` yields in one transaction, unless the lake's history holds this key already."""
    aside_path = home.set_aside / f"{key}.jsonl"
    with exclusive(home.path / "lake.lock", "the lake"), _disk_errors(home):
        if (done := lake.find_ingest(home, key)) is not None:
            counts = _Counts(already_there=done, set_aside=_reasons_in(aside_path))
            counts.read = done + counts.set_aside.total()
        else:
            counts, stored = _Counts(), _stored_ids(home)  # the lake cannot be read while it writes
            home.set_aside.mkdir(exist_ok=True)
            try:
                lake.append(home, _told(home, stored, read, aside_path, counts, context), key)
            except BaseException:
                aside_path.unlink(missing_ok=True)
                raise
    return IngestReport(
        name,
        counts.read,
        counts.added,
        counts.already_there,
        dict(counts.set_aside),
        dict(Counter(event.kind for event in counts.events)),
        str(aside_path) if counts.set_aside else None,
        lake.open_lake(home).version,
    )


def _told(
    home: Home, stored: np.ndarray, read: Callable[[], Read], aside_path: Path, counts: _Counts, context: Context
) -> Iterator[pa.RecordBatch]:
    """The new posts; what stood beside them is on the disk before the last batch, and so before the lake's commit."""
    partial = aside_path.with_suffix(".part")
    try:
        with (
            open(partial, "w", encoding="utf-8") as aside,
            context.progress.task("reading posts", None, "posts") as task,
        ):
            yield from _new_posts(stored, within_bounds(read(), context.clock.now()), aside, counts, task)
        if not counts.read and not counts.events:
            raise DataError("there is not one row to take", mend="Check that these are the right files")
        if counts.set_aside:
            os.replace(partial, aside_path)
        if counts.events:
            with live_log(home) as log:
                log.record((timed(event, context.clock.now()) for event in counts.events), context.clock)
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
            [item if isinstance(item, Event) else replace(item, where=f"{path.name}, {item.where}") for item in beside],
        )


def _first(limit: int | None, sources: Iterable[Read]) -> Read:
    """The first `limit` rows of all sources together, the unusable ones counted too, the events beside them not."""
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


def _new_posts(stored: np.ndarray, read: Read, aside_file, counts: _Counts, task) -> Iterator[pa.RecordBatch]:
    """The posts whose ids are new, each id once; what is not taken is counted and written down.

    `stored`: hashes of the ids in the lake, sorted.
    """
    seen = np.empty(0, dtype="<u8")
    for batch, beside in read:
        events, aside = _sorted_out(beside)
        counts.events += events
        hashes = hash_ids(batch["id"].to_pylist())
        is_stored = _is_among(hashes, stored)
        is_first = np.zeros(len(hashes), dtype=bool)
        is_first[np.unique(hashes, return_index=True)[1]] = True
        is_first &= ~_is_among(hashes, seen)
        twice = batch.filter(pa.array(~is_stored & ~is_first)).to_pylist()
        counts.read += batch.num_rows + len(aside)
        counts.already_there += int(is_stored.sum())
        for item in [*aside, *(SetAside(f"id {row['id']}", DUPLICATE_ID, row) for row in twice)]:
            counts.set_aside[item.reason] += 1
            aside_file.write(json.dumps(to_plain(item), ensure_ascii=False, default=str) + "\n")
        fresh = ~is_stored & is_first
        seen = np.sort(np.concatenate([seen, hashes[fresh]]))
        counts.added += int(fresh.sum())
        task.advance(batch.num_rows)
        if fresh.any():
            yield batch.filter(pa.array(fresh))


def _is_among(hashes: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Which hashes stand in a sorted array."""
    places = np.searchsorted(of, hashes)
    return np.append(of, np.uint64(0))[places] == hashes if len(of) else np.zeros(len(hashes), dtype=bool)


def _stored_ids(home: Home) -> np.ndarray:
    """Hashes of all ids in the lake, sorted."""
    found = lake.find_lake(home)
    parts = [hash_ids(batch["id"].to_pylist()) for batch in found.batches(["id"])] if found else []
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype="<u8")


@contextlib.contextmanager
def _disk_errors(home: Home) -> Iterator[None]:
    """A full disk, however the storage layer words it, is one clear error."""
    try:
        yield
    except (OSError, DeltaError) as error:
        # the lake's engine gives no errno, but the system's words for it
        if not any(number == getattr(error, "errno", None) or f"os error {number})" in str(error) for number in _FULL):
            raise
        mend = "Nothing was added; free some space and run the same command again"
        raise StorageError("the disk is full", where=home.path, mend=mend) from None
