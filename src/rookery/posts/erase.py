"""Erasing: what is forgotten, superseded or was edited leaves the files in which posts lie.

`forget.py` hides a post at once; this removes its text physically, later and for many posts
together. What can be taken back (a suspension, a refusal of one use) hides and erases nothing. An
account that was deleted for longer than the platform's `erase_within_days` is forgotten here. The
live log stores the ids of what is forgotten: without them the same posts could come in again.

Here: the lake, the rows set aside, and the arrivals of streams. For what was derived from posts see
`corpus/erase.py` and `search/erase.py`; for the order of all steps, and what is owed afterwards,
`workflows/erase.py`.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.arrays import is_among
from rookery.core.context import Context
from rookery.core.digest import hash_ids
from rookery.core.home import Home
from rookery.posts import lake, set_aside
from rookery.posts.live import LiveLog, live_log
from rookery.posts.log import places
from rookery.posts.log.erasures import Erasures
from rookery.posts.log.places import Scrubs
from rookery.posts.restrictions import Restrictions
from rookery.posts.streams.inbox import Inbox


@dataclass(frozen=True)
class ErasurePlan:
    """A list of all that has to be erased now.

    restrictions: only the permanent ones (`Restrictions.permanent`). in_lake: the posts of the lake
    that go, each with its author. scrubs: the places to erase. asked: returns for forgotten posts
    and authors when that was recorded (ISO 8601); it is called only where it is needed, for a long
    log takes its time. up_to: the number of the last event that it covers.
    """

    restrictions: Restrictions = field(default_factory=Restrictions)
    in_lake: Mapping[str, str] = field(default_factory=dict)
    scrubs: Scrubs = field(default_factory=Scrubs)
    asked: Callable[[], Mapping[str, str]] = dict
    up_to: int = 0

    def __bool__(self) -> bool:
        return bool(
            self.restrictions.posts
            or self.restrictions.authors
            or self.restrictions.edited
            or self.scrubs
        )

    def posts(self, lake_version: int) -> frozenset[str]:
        """Return the ids whose texts, as a version of the lake holds them, have to go."""
        edits = self.restrictions.edited.items()
        edited = {post for post, version in edits if version > lake_version}
        return self.whole | edited if edited else self.whole

    @cached_property
    def whole(self) -> frozenset[str]:
        """Return the ids of posts of which every version goes, also the newest."""
        return frozenset(itertools.chain(self.restrictions.posts, self.in_lake))

    @cached_property
    def authors(self) -> frozenset[str]:
        """Return the authors all of whose posts have to go."""
        return frozenset(self.restrictions.authors)

    def first_asked(self, names: np.ndarray) -> str:
        """Return the earliest time at which one of some posts and authors was forgotten.

        names: their hashes by `hash_ids`. The time is ISO 8601; "" if none was forgotten.
        """
        hashes, times = self._asked
        return min((times[n] for n in np.flatnonzero(np.isin(hashes, names))), default="")

    @cached_property
    def _asked(self) -> tuple[np.ndarray, list[str]]:
        asked = self.asked()
        return hash_ids(asked), list(asked.values())


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
        versions = _other_versions(home, log)
        return new + log.append(
            "forget_post", versions, context.clock, "a version of a forgotten post"
        )


def plan_erasure(home: Home, everything: bool = False) -> ErasurePlan:
    """Return what the log asks to erase since the last erasure that ended.

    everything: also what was erased before, in case files came back from a copy.
    """
    with live_log(home) as log:
        since = 0 if everything else Erasures(log).up_to()
        with log.snapshot():
            up_to = log.watermark()
            restrictions = log.permanent_since(since)
            scrubs = places.scrubs(log, since)
    posts, authors = restrictions.posts.keys(), restrictions.authors.keys()
    in_lake: dict[str, str] = {}
    for batch in _lake_batches(home, ["id", "author"]) if posts or authors else ():
        goes = pc.or_(is_among(batch["id"], posts), is_among(batch["author"], authors))
        gone = batch.filter(goes)
        in_lake.update(zip(gone["id"].to_pylist(), gone["author"].to_pylist(), strict=True))
    asked = functools.partial(_asked_since, home, since)
    return ErasurePlan(restrictions, in_lake, scrubs, asked, up_to)


def _asked_since(home: Home, watermark: int) -> Mapping[str, str]:
    with live_log(home) as log:
        return Erasures(log).asked_since(watermark)


def note_erased(home: Home, plan: ErasurePlan) -> None:
    """Record for the posts that go from the lake what asked for it, before nobody knows it."""
    with live_log(home) as log:
        Erasures(log).note(plan.in_lake)


def note_ended(home: Home, plan: ErasurePlan) -> None:
    """Record that everything of a plan is erased everywhere, so that nobody looks for it again."""
    with live_log(home) as log:
        Erasures(log).ended(plan.up_to)


def erase_lake(home: Home, plan: ErasurePlan) -> list[Erased]:
    """Write the months anew that hold what has to go, and remove every earlier file.

    The caller must hold the lake's lock.
    """
    lake.evolve(home)
    found = lake.find_lake(home)
    if found is None:
        return []
    before = found.paths()
    # not the edited posts: their earlier texts lie only in earlier files
    removed = pa.array(plan.in_lake.keys(), pa.string())
    scrubbed = _to_scrub(found, plan)
    if len(removed) or scrubbed:
        scrub = functools.partial(places.scrubbed, requested=plan.scrubs)
        replacements = lake.Replacements(removed, taken=0, changed=scrubbed, change=scrub)
        lake.write(home, [], f"erase-{found.version + 1:08d}", lambda: replacements, at_once=True)
    earlier = len(set(before) - set(lake.open_lake(home).paths())) + len(
        lake.remove_replaced(home, 0)
    )
    counts = [
        ("posts", len(removed)),
        ("places", len(scrubbed)),
        ("earlier files", earlier),
    ]
    return [Erased("lake", count, unit) for unit, count in counts if count]


def _to_scrub(found: lake.Lake, plan: ErasurePlan) -> frozenset[str]:
    """Return the ids of the posts that stay and have a place that goes."""
    batches = found.batches(["id", "author", "place"]) if plan.scrubs else ()
    ids = (batch["id"].filter(places.to_scrub(batch, plan.scrubs)).to_pylist() for batch in batches)
    return frozenset(itertools.chain.from_iterable(ids)) - plan.in_lake.keys()


def erase_inbox(home: Home, plan: ErasurePlan) -> list[Erased]:
    """Remove posts that wait for the lake from the live log's file, also from its free pages.

    All that wait are looked at, since a post may have come after its erasure. The file is written
    anew unless nothing was removed from it since it last was.
    """
    with live_log(home) as log:
        inbox, erasures = Inbox(log), Erasures(log)
        waiting = inbox.authors()
        permanent = log.restrictions_among(list(waiting.items())).permanent
        erasures.note(waiting)
        with log.transaction():
            count = inbox.erase(permanent.posts, permanent.authors, places.scrubs(log))
            aliases = inbox.erase_aliases(plan.whole) + inbox.erase_aliases(permanent.posts)
            arrivals, is_empty = inbox.arrivals(), not inbox.waiting()
        if aliases or not erasures.is_compact(arrivals):
            log.compact()
            if is_empty:  # a post that came meanwhile has a higher number
                erasures.compacted(arrivals)
    return [Erased("live log", count, "waiting posts")] if count else []


def erase_set_aside(home: Home) -> list[Erased]:
    """Remove the names of what is forgotten from the rows set aside; their reasons stay.

    The caller must hold the lake's lock.
    """
    for path in home.set_aside.glob("*"):
        if path.suffix == ".part" or path.name.startswith("."):  # of an ingest that was killed
            path.unlink()
    files = set_aside.files(home)
    named = set_aside.names_in(files)
    with live_log(home) as log:
        erasures = Erasures(log)
        authors = log.numbers_among("forget_author", named)
        gone = {*authors, *log.numbers_among("forget_post", named), *erasures.among(named)}
        erasures.note(set_aside.posts_by(files, authors.keys()))
    count = sum(set_aside.erase(path, gone) for path in files)
    return [Erased("set aside", count, "rows")] if count else []


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


def _other_versions(home: Home, log: LiveLog) -> list[str]:
    """Return the lake's posts that are versions of a forgotten one under ids of their own."""
    groups: dict[str, set[str]] = {}
    for batch in _lake_batches(home, ["id", "version_of"]):
        versions = batch.filter(pc.is_valid(batch["version_of"]))
        for post, group in zip(*(column.to_pylist() for column in versions), strict=True):
            # a group is named by the id of its first version, which has no `version_of`
            groups.setdefault(group, {group}).add(post)
    forgotten = log.numbers_among("forget_post", (post for of in groups.values() for post in of))
    other = (of - forgotten.keys() for of in groups.values() if not of.isdisjoint(forgotten))
    return sorted(set().union(*other))


def _lake_batches(home: Home, columns: list[str]) -> Iterable[pa.RecordBatch]:
    found = lake.find_lake(home)
    return found.batches(columns) if found else ()
