"""The feed: all posts in the order in which they arrived, each under a number of its own.

A post gets a number when it arrives, by a file or by a stream: one that is higher than all before.
It keeps it for good, also when the lake is written anew or a place is erased from it; a later
version of the post is an arrival of its own. So whoever derives something from posts (an index, a
delivery) reads on after the last number that it has seen. It misses nothing and gets nothing twice,
and a streamed post comes as soon as it is stored, before the lake takes it over.

What a reader holds of a post gives way to what comes later if `versions.supersedes` says so: a
stream may repeat a post, and deliver an earlier version after a later one. What is forgotten, or
was replaced before it was read, does not come. What happens to a post after it came is in the
live log (`live.py`), which every reader asks before it shows or uses a post.

Not here: how numbers are given out and merged (`numbering/`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.errors import BusyError, DataError
from rookery.core.home import Home
from rookery.posts.event import Kind
from rookery.posts.lake import find_lake
from rookery.posts.live import LiveLog, live_log
from rookery.posts.numbering.book import open_book
from rookery.posts.numbering.files import NUMBER, NUMBERED_SCHEMA, Before
from rookery.posts.numbering.order import NumberedRows, in_order
from rookery.posts.post import to_batch
from rookery.posts.streams.inbox import Inbox

FEED_SCHEMA = NUMBERED_SCHEMA
"""The fields of a post, and `number`."""
PAGE_ROWS = 65_536
_TRIES = 3


@dataclass(frozen=True)
class FeedPage:
    """Posts in the order of their numbers, and where to read on.

    rows: of `FEED_SCHEMA`. last: all posts up to this number have come; it may be higher than the
    last row's, and a page without rows need not be the end: that is where `last` is the `latest`.
    """

    rows: pa.Table
    last: int


@dataclass(frozen=True)
class _Moment:
    """What the live log knows at one moment of the numbers after one.

    until: up to which number. waiting: the posts among them that wait for the lake.
    """

    after: int
    until: int
    before: Before
    waiting: pa.RecordBatch


def latest(home: Home) -> int:
    """Return the highest number so far; 0 if no post ever came.

    It costs no look at the posts. Numbers appear in rising order: all up to this one can be read.
    """
    with live_log(home) as log:
        return open_book(home, log).last()


def read(home: Home, after: int, limit: int) -> FeedPage:
    """Return posts with numbers over `after`, at most `limit` of them.

    To read many, `pages` is much faster. Raises `DataError` if no post ever had the number `after`,
    and `BusyError` if posts are erased meanwhile, several times in a row.
    """
    for _ in range(_TRIES - 1):
        try:
            return next(_pages_of(home, after, limit))
        except BusyError:
            continue
    return next(_pages_of(home, after, limit))


def pages(home: Home, after: int = 0, rows: int = PAGE_ROWS) -> Iterator[FeedPage]:
    """Yield all posts with numbers over `after` that have arrived by now, in bounded memory.

    A page has at most `rows` of them; there is always one page. Raises what `read` raises.
    """
    end, failures = latest(home), 0
    while True:
        try:
            for page in _pages_of(home, after, rows):
                yield page
                after, failures = page.last, 0
            if after >= end:
                return
        except BusyError:
            failures += 1
            if failures == _TRIES:
                raise


def _pages_of(home: Home, after: int, rows: int) -> Iterator[FeedPage]:
    """Yield the posts that one moment of the log knows of, at least one page."""
    moment = _moment(home, after, rows)
    for table in in_order(_sources(home, moment), rows):
        after = table[NUMBER.name][-1].as_py()
        yield FeedPage(_unforgotten(home, _each_once(table)), after)
    if after < moment.until or after == moment.after:
        yield FeedPage(FEED_SCHEMA.empty_table(), moment.until)


def _moment(home: Home, after: int, rows: int) -> _Moment:
    with live_log(home) as log:
        inbox, book = Inbox(log), open_book(home, log)
        with log.snapshot():
            until = book.last()
            if after > until:
                raise DataError(
                    f"no post ever had the number {after}: the highest is {until}",
                    where=home.live,
                    hint="Build anew what was made of this home's feed",
                )
            waiting = inbox.after(after, rows)
            before = book.before()
    if len(waiting) == rows:  # there may be more
        until = waiting[-1][0]
    posts = to_batch([post for _, post in waiting])
    numbers = pa.array([number for number, _ in waiting], NUMBER.type)
    batch = pa.RecordBatch.from_arrays([*posts.columns, numbers], schema=FEED_SCHEMA)
    return _Moment(after, until, before, batch)


def _sources(home: Home, moment: _Moment) -> Iterator[NumberedRows]:
    """Yield the places that hold posts with the numbers of a moment.

    The lake is looked at after the log: what left the inbox since then is in it. If all the numbers
    wait, as they do while a reader keeps up with a stream, it is not looked at.
    """
    if moment.waiting.num_rows < moment.until - moment.after:
        if lake := find_lake(home):
            yield from lake.sources(moment.before, moment.after, moment.until)
    if moment.waiting.num_rows:
        first = moment.waiting[NUMBER.name][0].as_py()
        yield NumberedRows(first, lambda: [moment.waiting])


def _each_once(table: pa.Table) -> pa.Table:
    """Return the rows without those that came into the lake and still wait for it as well."""
    numbers = table[NUMBER.name].to_numpy()
    is_repeat = np.diff(numbers) == 0
    return table.filter(pa.array(np.append(True, ~is_repeat))) if is_repeat.any() else table


def _unforgotten(home: Home, table: pa.Table) -> pa.Table:
    with live_log(home) as log:
        posts = _forgotten(log, "forget_post", table["id"])
        authors = _forgotten(log, "forget_author", table["author"].unique())
    if not posts and not authors:
        return table
    by_id = pc.is_in(table["id"], pa.array(posts, pa.string()))
    by_author = pc.is_in(table["author"], pa.array(authors, pa.string()))
    return table.filter(pc.invert(pc.or_(by_id, by_author)))


def _forgotten(log: LiveLog, kind: Kind, names: pa.ChunkedArray | pa.Array) -> Iterable[str]:
    """Return the subjects of a kind if they are few, else those of some names that are among them.

    To look up a page's names one by one takes as long as to read the page.
    """
    first = log.subjects_of_kind(kind, len(names) + 1)
    return first if len(first) <= len(names) else log.numbers_among(kind, names.to_pylist())
