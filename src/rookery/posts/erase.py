"""Erasing: what is forgotten, superseded or was edited goes from the files in which posts lie.

Hiding it is `forget.py` and holds at once; this makes it physically gone, later and for many posts
together. What can be taken back (a suspension, a no to one use) hides and erases nothing; an
account that was deleted for longer than the platform's `erase_within_days` is forgotten here. The
live log keeps the ids of what is forgotten: without them the same posts could come in again.

Here: the lake, the rows set aside, and the arrivals of streams. What was made of posts:
`corpus/erase.py` and `search/erase.py`; in which order, and what is owed afterwards:
`workflows/erase.py`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.artifact import write_atomically
from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.core.home import Home
from rookery.posts import lake, places
from rookery.posts.live import LiveLog, live_log
from rookery.posts.places import Scrubs
from rookery.posts.restrictions import Restrictions
from rookery.posts.streams.inbox import Inbox

_WORDS = (re.compile(r"[^\s\"'<>,;(){}\[\]]+"), re.compile(r"\w+"))
"""How a name may stand in a damaged line: between blanks, quotes and brackets, or between other
signs.
"""


@dataclass(frozen=True)
class ErasurePlan:
    """What has to be erased now.

    standing: only what is for good (`Restrictions.permanent`). by_authors: the ids in the lake of
    forgotten authors. asked: for forgotten posts and authors, when it was noted.
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
        """The ids whose texts, as they stood in a version of the lake, have to go; sorted."""
        edited = {
            post for post, version in self.restrictions.edited.items() if version > lake_version
        }
        return pa.array(sorted(self.whole | edited), pa.string())

    @cached_property
    def whole(self) -> frozenset[str]:
        """The ids of posts that go whatever they say now."""
        return frozenset(self.restrictions.posts) | self.by_authors

    @cached_property
    def authors(self) -> pa.Array:
        """The authors all of whose posts have to go, sorted."""
        return pa.array(sorted(self.restrictions.authors), pa.string())

    @cached_property
    def names(self) -> frozenset[str]:
        """All ids and authors of which something has to go."""
        return self.whole | {
            *self.restrictions.authors,
            *self.restrictions.edited,
            *self.scrubs.authors,
            *self.scrubs.posts,
        }

    def first_asked(self, names: np.ndarray) -> str:
        """When the first of some posts and authors (`hash_ids`) was asked to be forgotten; "" if
        none was.
        """
        times = list(self.asked.values())
        return min(
            (times[n].isoformat() for n in np.flatnonzero(np.isin(hash_ids(self.asked), names))),
            default="",
        )


@dataclass(frozen=True)
class Erased:
    """What one place lost: how many of which unit."""

    place: str
    count: int
    unit: str


def note_what_came_due(home: Home, context: Context) -> int:
    """Note as forgotten: accounts deleted for too long to come back, and other versions of a
    forgotten post.

    Returns how many are new. For a caller that holds the lake's lock.
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
    """What the log asks to erase, whether it is done already or not."""
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
    """Write the months anew where something has to go, and remove every earlier file; under the
    lake's lock.
    """
    found = lake.find_lake(home)
    if found is None:
        return []
    before = found.paths()
    ids = pa.array(
        sorted(plan.whole), pa.string()
    )  # an edit's earlier text is only in files written over
    gone = _column(
        batch["id"].filter(pc.is_in(batch["id"], ids)) for batch in found.batches(["id"])
    )
    scrubbed = list(_scrubbed(found, plan.scrubs, gone))
    if len(gone) or scrubbed:
        settled = lake.Replacements(
            _column([gone, *(batch["id"] for batch in scrubbed)]), scrubbed, 0
        )
        lake.write(home, [], f"erase-{found.version + 1:08d}", lambda: settled, at_once=True)
    earlier = len(set(before) - set(lake.open_lake(home).paths())) + len(
        lake.remove_replaced(home, 0)
    )
    counts = [
        ("posts", len(gone)),
        ("places", sum(b.num_rows for b in scrubbed)),
        ("earlier files", earlier),
    ]
    return [Erased("lake", count, unit) for unit, count in counts if count]


def _scrubbed(found: lake.Lake, wished: Scrubs, gone: pa.Array) -> Iterator[pa.RecordBatch]:
    """The posts that stay and have a place that goes, without it."""
    for batch in found.batches() if wished else ():
        goes = pc.and_not(places.to_scrub(batch, wished), pc.is_in(batch["id"], gone))
        if pc.any(goes).as_py():
            yield places.scrubbed(batch.filter(goes), wished)


def _column(parts: Iterable[pa.Array]) -> pa.Array:
    return pa.concat_arrays([pa.array([], pa.string()), *parts])


def erase_arrivals(home: Home, plan: ErasurePlan) -> list[Erased]:
    """Take out of the live log's file what streams brought and the lake has not got, also from its
    free pages.
    """
    with live_log(home) as log:
        inbox = Inbox(log)
        with log.transaction():
            count = inbox.erase(plan.whole, frozenset(plan.restrictions.authors), plan.scrubs)
        log.compact()
    return [Erased("live log", count, "waiting posts")] if count else []


def erase_set_aside(home: Home, plan: ErasurePlan) -> list[Erased]:
    """Empty the rows set aside that name what has to go, their reasons stay; under the lake's
    lock.
    """
    count = 0
    for path in sorted(home.set_aside.glob("*")):
        if path.suffix == ".part" or path.name.startswith("."):  # of an ingest that was killed
            path.unlink()
        elif path.suffix == ".jsonl":
            count += _erase_rows(path, plan.names)
    return [Erased("set aside", count, "rows")] if count else []


def _erase_rows(path, names: frozenset[str]) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    left = [_without(line, names) for line in lines]
    changed = sum(a != b for a, b in zip(lines, left, strict=True))
    if changed:
        write_atomically(path, "".join(f"{line}\n" for line in left).encode())
    return changed


def _without(line: str, names: frozenset[str]) -> str:
    """The line, without its row and place if one of them names what has to go."""
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
    """The accounts that are in the state `deleted`, and were so before a moment already."""
    since: dict[str, datetime] = {}
    told = ((event.happened or noted, event) for event, noted in log.of_kind("state_author"))
    for at, event in sorted(
        (pair for pair in told if pair[1].cause == "deleted"), key=lambda pair: pair[0]
    ):
        if event.value == "on":
            since.setdefault(event.subject, at)
        else:
            since.pop(event.subject, None)
    return sorted(author for author, at in since.items() if at < limit)


def _other_versions(home: Home, forgotten: frozenset[str]) -> list[str]:
    """Posts of the lake that are versions of a forgotten one under ids of their own."""
    known = pa.array(sorted(forgotten), pa.string())
    groups, members = set(forgotten), []
    for batch in _lake_batches(home, ["id", "version_of"]) if forgotten else ():
        group = pc.coalesce(batch["version_of"], batch["id"])
        groups.update(group.filter(pc.is_in(batch["id"], known)).to_pylist())
        is_version = pc.is_valid(batch["version_of"])
        members += zip(
            *(column.filter(is_version).to_pylist() for column in (group, batch["id"])), strict=True
        )
    # the first version of a group is in its name
    return sorted({id_ for group, id_ in members if group in groups} | (groups - forgotten))


def _lake_batches(home: Home, columns: list[str]):
    found = lake.find_lake(home)
    return found.batches(columns) if found else ()
