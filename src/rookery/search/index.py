"""The search index of a home: built from the lake through the gate, and swapped in as a whole.

    search/current.json     the segment in force and its watermark (written last, atomically)
    search/<name>/          the segment (`segment.py`)

The index is no artifact, since it changes: it can be rebuilt from lake and log at any time, and its
watermark names the lake, log, policy and embedder it was built from. A build that is killed leaves
the index in force untouched, and the next build removes its leftovers. How the index is used is in
`search.py` and `ask.py`.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc
import tantivy

from rookery.core.atomic import write_atomically
from rookery.core.config import from_plain
from rookery.core.context import Clock, Context, SystemClock
from rookery.core.digest import digest_value
from rookery.core.errors import DataError, UsageError
from rookery.core.home import Home, Policy
from rookery.core.locks import exclusive, reading_posts
from rookery.core.protocols import Embedder
from rookery.core.verdict import Tally
from rookery.posts.lake import MONTH, Lake, open_lake, version_in
from rookery.posts.live import live_log
from rookery.posts.restrictions import Restrictions
from rookery.posts.rights import gate
from rookery.search.engine.retrieve import count_matching
from rookery.search.engine.segment import (
    POST_COLUMNS,
    REBUILD,
    SEGMENT_FORMAT,
    Segment,
    open_segment,
    write_segment,
)
from rookery.search.visible import CurrentGate

CURRENT, BUILD_LOCK = "current.json", "build.lock"


@dataclass(frozen=True)
class Watermark:
    """The inputs of an index: equal watermarks, equal indexes."""

    format: int
    lake: str
    log_seq: int
    policy: str
    embedder: str

    @property
    def name(self) -> str:
        """Return the name of the segment's folder."""
        return digest_value(asdict(self))[:16]


@dataclass(frozen=True)
class IndexReport:
    """The result of a build; `built` is False if the index was up to date already."""

    posts: int
    vectors: int
    dimensions: int
    dropped: dict[str, int]
    seconds: float
    built: bool
    lake: str
    log_seq: int


@dataclass(frozen=True)
class Current:
    """The contents of `current.json`."""

    watermark: Watermark
    posts: int
    dropped: dict[str, int]


@dataclass(frozen=True)
class SearchIndex:
    """An open index, with all that a query needs; it stays usable while a newer one is built."""

    home: Home
    watermark: Watermark
    segment: Segment
    embedder: Embedder
    clock: Clock
    gate: CurrentGate = field(init=False, default_factory=CurrentGate, compare=False, repr=False)

    @property
    def lake_version(self) -> int:
        """Return the version of the lake that its texts are from."""
        return version_in(self.watermark.lake)

    def as_of_now(self) -> "SearchIndex":
        """Return the index as if every post that is hidden by now had never been in it."""
        withheld = self.gate.withheld(
            self.home,
            self.segment,
            self.watermark.policy,
            self.watermark.log_seq,
            self.lake_version,
        )
        return replace(self, segment=replace(self.segment, withheld=withheld))


def build_index(home: Home, embedder: Embedder, context: Context) -> IndexReport:
    """Index every post that may be searched.

    Raises `UsageError` if there are no posts or another build is running.
    """
    with reading_posts(home):
        return _built(home, embedder, context)


def _built(home: Home, embedder: Embedder, context: Context) -> IndexReport:
    started_seconds = context.clock.monotonic_seconds()
    lake = open_lake(home)
    with live_log(home) as log:
        restrictions = log.restrictions()
    policy = home.settings.rights.policy
    watermark = Watermark(
        SEGMENT_FORMAT, lake.name, restrictions.watermark, policy, embedder.digest
    )
    with exclusive(home.search / BUILD_LOCK, "the search index"):
        current = _usable(home, watermark)
        built = current is None
        if current is None:
            current = _build(home, lake, restrictions, watermark, embedder, context)
        remove_others(home)
    seconds = context.clock.monotonic_seconds() - started_seconds
    return IndexReport(
        posts=current.posts,
        vectors=current.posts,
        dimensions=embedder.dimensions,
        dropped=current.dropped,
        seconds=round(seconds, 2),
        built=built,
        lake=watermark.lake,
        log_seq=watermark.log_seq,
    )


def open_index(home: Home, embedder: Embedder, clock: Clock | None = None) -> SearchIndex:
    """Open the index in force.

    Raises `UsageError` if there is none or it was made with another model.
    """
    watermark, segment = _open_current(home)
    if watermark.embedder != embedder.digest:
        raise UsageError(
            "the search index was made with another model",
            where=home.search,
            hint="Run `rookery search index` again",
        )
    return SearchIndex(home, watermark, segment, embedder, clock or SystemClock())


def holds(home: Home, post_id: str) -> bool:
    """Return whether the index in force holds a post; False if there is no index."""
    found = current_index(home)
    if found is None:
        return False
    _, segment = found
    query = tantivy.Query.term_query(segment.text.schema, "id", post_id, "basic")
    return count_matching(segment, query) > 0


def current_index(home: Home) -> tuple[Watermark, Segment] | None:
    """Return the index in force without checking its model, or None if there is none."""
    return None if _read_current(home) is None else _open_current(home)


def _build(
    home: Home,
    lake: Lake,
    restrictions: Restrictions,
    watermark: Watermark,
    embedder: Embedder,
    context: Context,
) -> Current:
    tally = Tally()
    batches = _searchable(lake, home.settings.rights.policy, restrictions, tally)
    facts = write_segment(home.search / watermark.name, batches, lake.count(), embedder, context)
    current = Current(watermark, facts.posts, dict(tally.dropped.most_common()))
    write_atomically(home.search / CURRENT, json.dumps(asdict(current), indent=1).encode())
    return current


def _searchable(
    lake: Lake, policy: Policy, restrictions: Restrictions, tally: Tally
) -> Iterator[pa.RecordBatch]:
    """Yield the posts that pass the gate, by time and then by id, and tally the others.

    One month is in memory at a time.
    """
    dataset = lake.dataset()
    for month in sorted(p[MONTH] for p in lake.table.partitions()):
        posts = dataset.to_table(columns=list(POST_COLUMNS), filter=pc.field(MONTH) == month)
        reasons = gate(posts, "search", policy, restrictions)
        for count in reasons.drop_null().value_counts().to_pylist():
            tally.drop(count["values"], count["counts"])
        allowed = posts.filter(pc.is_null(reasons))
        in_order = allowed.sort_by([("created", "ascending"), ("id", "ascending")])
        yield from in_order.to_batches()


def _usable(home: Home, watermark: Watermark) -> Current | None:
    """Return the index in force if it has this watermark and is whole."""
    try:
        current = _read_current(home)
        if current is None or current.watermark != watermark:
            return None
        open_segment(home.search / watermark.name)
    except DataError:
        return None
    return current


def _open_current(home: Home) -> tuple[Watermark, Segment]:
    """Open the segment in force; raises `UsageError` if there is none."""
    current = _read_current(home)
    # A build may swap in the next segment while this one is being opened.
    while current is not None:
        try:
            return current.watermark, open_segment(home.search / current.watermark.name)
        except DataError:
            before, current = current, _read_current(home)
            if current == before:
                raise
    raise UsageError(
        "there is no search index yet", where=home.path, hint="Run `rookery search index` first"
    )


def _read_current(home: Home) -> Current | None:
    path = home.search / CURRENT
    if not path.exists():
        return None
    try:
        return from_plain(Current, json.loads(path.read_text()))
    except (ValueError, DataError) as error:
        raise DataError(f"the search index is damaged: {error}", where=path, hint=REBUILD) from None


def remove_others(home: Home) -> None:
    """Remove the segments that are not in force: older ones and those of killed builds.

    Those that a process has open stay readable for it.
    """
    current = _read_current(home)
    for folder in home.search.iterdir():
        if folder.is_dir() and (current is None or folder.name != current.watermark.name):
            shutil.rmtree(folder)
