"""Erasing: what is forgotten, superseded or was edited leaves the files in which posts lie.

`forget.py` hides a post at once; this removes its text physically, later and for many posts
together. What can be taken back (a suspension, a refusal of one use) hides and erases nothing. An
account that was deleted for longer than the platform's `erase_within_days` is forgotten here. The
live log stores the ids of what is forgotten: without them the same posts could come in again.

Here: the lake, the rows set aside, and the arrivals of streams. For what was derived from posts see
`corpus/erase.py` and `search/erase.py`; for the order of all steps, and what is owed afterwards,
`workflows/erase.py`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.atomic import write_atomically
from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.core.home import Home
from rookery.posts import lake, places
from rookery.posts.live import LiveLog, live_log
from rookery.posts.places import Scrubs
from rookery.posts.restrictions import Restrictions
from rookery.posts.streams.inbox import Inbox

_WORDS = (re.compile(r"[^\s\"'<>,;(){}\[\]]+"), re.compile(r"\w+"))
"""The words of a damaged line: between blanks, quotes and brackets; and between any other signs."""


@dataclass(frozen=True)
class ErasurePlan:
    """A list of all that has to be erased now.

    restrictions: only the permanent ones (`Restrictions.permanent`). by_authors: the ids of the
    lake's posts by forgotten authors. scrubs: the places to erase. asked: for forgotten posts and
    authors, when that was recorded.
    """

    restrictions: Restrictions = field(default_factory=Restrictions)
    by_authors: frozenset[str] = frozenset()
    scrubs: Scrubs = field(default_factory=Scrubs)
    asked: Mapping[str, datetime] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(
            self.restrictions.posts
            or self.restrictions.authors
            or self.restrictions.edited
            or self.scrubs
        )

    def posts(self, lake_version: int) -> pa.Array:
        """Return the ids whose texts, as a version of the lake holds them, have to go; sorted."""
        edited = {
            post for post, version in self.restrictions.edited.items() if version > lake_version
        }
        return pa.array(sorted(self.whole | edited), pa.string())

    @cached_property
    def whole(self) -> frozenset[str]:
        """Return the ids of posts of which every version goes, also the newest."""
        return frozenset(self.restrictions.posts) | self.by_authors

    @cached_property
    def authors(self) -> pa.Array:
        """Return the authors all of whose posts have to go, sorted."""
        return pa.array(sorted(self.restrictions.authors), pa.string())

    @cached_property
    def names(self) -> frozenset[str]:
        """Return all ids and authors of which something has to go."""
        return self.whole | {
            *self.restrictions.authors,
            *self.restrictions.edited,
            *self.scrubs.authors,
            *self.scrubs.posts,
        }

    def first_asked(self, names: np.ndarray) -> str:
        """Return the earliest time at which one of some posts and authors was forgotten.

        names: their hashes by `hash_ids`. The time is ISO 8601; "" if none was forgotten.
        """
        times = list(self.asked.values())
        return min(
            (times[n].isoformat() for n in np.flatnonzero(np.isin(hash_ids(self.asked), names))),
            default="",
        )


@dataclass(frozen=True)
class Erased:
    """A count of what was erased from one place, and its unit."""

    place: str
    count: int
    unit: str


def record_due_forgetting(home: Home, context: Context) -> int:
    """Record as forgotten what came due by now, and return how many are new.

    These are accounts that were deleted for too long to come back, and other versions of a
    forgotten post. The caller must hold the lake's lock.
    """
    days = home.settings.rights.erase_within_days
    with live_log(home) as log:
        before = context.clock.now() - timedelta(days=days)
        reason = f"deleted for more than {days} days"
        new = log.append("forget_author", _deleted_before(log, before), context.clock, reason)
        versions = _other_versions(home, log.restrictions().forgotten_posts)
        return new + log.append(
            "forget_post", versions, context.clock, "a version of a forgotten post"
        )


def plan_erasure(home: Home) -> ErasurePlan:
    """Return what the log asks to erase, whether it is done already or not."""
    with live_log(home) as log:
        restrictions = log.restrictions().permanent
        asked = {
            e.subject: at
            for kind in ("forget_author", "forget_post")
            for e, at in log.of_kind(kind)
        }
        scrubs = places.scrubs(log)
    by_authors: set[str] = set()
    authors = pa.array(sorted(restrictions.authors), pa.string())
    for batch in _lake_batches(home, ["id", "author"]) if restrictions.authors else ():
        by_authors.update(batch["id"].filter(pc.is_in(batch["author"], authors)).to_pylist())
    return ErasurePlan(restrictions, frozenset(by_authors), scrubs, asked)


def erase_lake(home: Home, plan: ErasurePlan) -> list[Erased]:
    """Write the months anew that hold what has to go, and remove every earlier file.

    The caller must hold the lake's lock.
    """
    found = lake.find_lake(home)
    if found is None:
        return []
    before = found.paths()
    # not the edited posts: their earlier texts lie only in earlier files
    ids = pa.array(sorted(plan.whole), pa.string())
    removed = _column(
        batch["id"].filter(pc.is_in(batch["id"], ids)) for batch in found.batches(["id"])
    )
    scrubbed = list(_scrubbed(found, plan.scrubs, removed))
    if len(removed) or scrubbed:
        replacements = lake.Replacements(
            _column([removed, *(batch["id"] for batch in scrubbed)]), scrubbed, 0
        )
        lake.write(home, [], f"erase-{found.version + 1:08d}", lambda: replacements, at_once=True)
    earlier = len(set(before) - set(lake.open_lake(home).paths())) + len(
        lake.remove_replaced(home, 0)
    )
    counts = [
        ("posts", len(removed)),
        ("places", sum(b.num_rows for b in scrubbed)),
        ("earlier files", earlier),
    ]
    return [Erased("lake", count, unit) for unit, count in counts if count]


def _scrubbed(found: lake.Lake, requested: Scrubs, removed: pa.Array) -> Iterator[pa.RecordBatch]:
    """Yield the posts that stay and have a place that goes, without it."""
    for batch in found.batches() if requested else ():
        is_scrubbed = pc.and_not(places.to_scrub(batch, requested), pc.is_in(batch["id"], removed))
        if pc.any(is_scrubbed).as_py():
            yield places.scrubbed(batch.filter(is_scrubbed), requested)


def _column(parts: Iterable[pa.Array]) -> pa.Array:
    return pa.concat_arrays([pa.array([], pa.string()), *parts])


def erase_inbox(home: Home, plan: ErasurePlan) -> list[Erased]:
    """Remove posts that wait for the lake from the live log's file, also from its free pages."""
    with live_log(home) as log:
        inbox = Inbox(log)
        with log.transaction():
            count = inbox.erase(plan.whole, frozenset(plan.restrictions.authors), plan.scrubs)
        log.compact()
    return [Erased("live log", count, "waiting posts")] if count else []


def erase_set_aside(home: Home, plan: ErasurePlan) -> list[Erased]:
    """Empty the rows set aside that name what has to go; their reasons stay.

    The caller must hold the lake's lock.
    """
    count = 0
    for path in sorted(home.set_aside.glob("*")):
        if path.suffix == ".part" or path.name.startswith("."):  # of an ingest that was killed
            path.unlink()
        elif path.suffix == ".jsonl":
            count += _erase_rows(path, plan.names)
    return [Erased("set aside", count, "rows")] if count else []


def _erase_rows(path: Path, names: frozenset[str]) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    erased = [_without(line, names) for line in lines]
    changed = sum(a != b for a, b in zip(lines, erased, strict=True))
    if changed:
        write_atomically(path, "".join(f"{line}\n" for line in erased).encode())
    return changed


def _without(line: str, names: frozenset[str]) -> str:
    """Return the line, without its row and place if one of them names what has to go."""
    aside = json.loads(line)
    if not _is_named(aside["row"], names) and not _is_named(aside["where"], names):
        return line
    return json.dumps(aside | {"where": "erased", "row": None}, ensure_ascii=False)


def _is_named(value: Any, names: frozenset[str]) -> bool:
    if isinstance(value, Mapping):
        return any(_is_named(item, names) for item in value.values())
    if isinstance(value, list):
        return any(_is_named(item, names) for item in value)
    if isinstance(value, str):
        return value in names or any(not names.isdisjoint(words.findall(value)) for words in _WORDS)
    return str(value) in names


def _deleted_before(log: LiveLog, limit: datetime) -> list[str]:
    """Return the accounts that are `deleted` now, and have been since before a moment."""
    since: dict[str, datetime] = {}
    states = ((event.happened or at, event) for event, at in log.of_kind("state_author"))
    for at, event in sorted(
        (state for state in states if state[1].cause == "deleted"), key=lambda state: state[0]
    ):
        if event.value == "on":
            since.setdefault(event.subject, at)
        else:
            since.pop(event.subject, None)
    return sorted(author for author, at in since.items() if at < limit)


def _other_versions(home: Home, forgotten: frozenset[str]) -> list[str]:
    """Return the lake's posts that are versions of a forgotten one under ids of their own."""
    known = pa.array(sorted(forgotten), pa.string())
    groups = set(forgotten)
    members: list[tuple[str, str]] = []
    for batch in _lake_batches(home, ["id", "version_of"]) if forgotten else ():
        group = pc.coalesce(batch["version_of"], batch["id"])
        groups.update(group.filter(pc.is_in(batch["id"], known)).to_pylist())
        is_version = pc.is_valid(batch["version_of"])
        members += zip(
            *(column.filter(is_version).to_pylist() for column in (group, batch["id"])), strict=True
        )
    # a group is named by the id of its first version, which has no `version_of`
    return sorted({id_ for group, id_ in members if group in groups} | (groups - forgotten))


def _lake_batches(home: Home, columns: list[str]) -> Iterable[pa.RecordBatch]:
    found = lake.find_lake(home)
    return found.batches(columns) if found else ()
