"""Limits that every post must keep, whatever its source: on its times, its text and its names.

No honest post is dated before social networks existed or after today, or has a text or a name
longer than any network allows. Rows outside the limits are set aside with the reason; a row that is
too long is set aside by its id alone, without its text. What one source requires of a post is
checked in that source's own module.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rookery.posts.sources.files import Read, SetAside

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""A time before any network that is read here; a clock that was never set reports 1970 or 1980."""
CLOCKS_DIFFER = timedelta(days=1)
"""How far a post's time may lie after the moment when the post is taken in."""
LONGEST_CHARACTERS = 1_000_000
"""The longest text: six times what the most generous source allows (Discourse, 150,000)."""
LONGEST_NAME_CHARACTERS = 8_000
"""The longest id or author: the longest ones are URLs, and 8,000 is the length that servers ought
to support (RFC 9110, 4.1).
"""

WRONG_CLOCK = "wrong_clock"
TOO_LONG = "too_long"


def within_bounds(read: Read, now: datetime) -> Read:
    """Yield the same batches without the posts outside the limits, which are set aside."""
    for batch, beside in read:
        too_long = _too_long(batch)
        wrong_clock = pc.and_(_wrong_clock(batch, now + CLOCKS_DIFFER), pc.invert(too_long))
        good = pc.invert(pc.or_(too_long, wrong_clock))
        if not pc.all(good).as_py():
            ids, authors = (
                pc.utf8_slice_codeunits(batch[name].filter(too_long), 0, LONGEST_NAME_CHARACTERS)
                for name in ("id", "author")
            )
            names = zip(ids.to_pylist(), authors.to_pylist(), strict=True)
            aside = [SetAside(f"id {id_}", TOO_LONG, {"id": id_}, id_, by) for id_, by in names]
            rows = batch.filter(wrong_clock).to_pylist()
            aside += [
                SetAside(f"id {r['id']}", WRONG_CLOCK, r, r["id"], r["author"], _times_of(r))
                for r in rows
            ]
            batch, beside = batch.filter(good), [*beside, *aside]
        yield batch, beside


def _times_of(row: dict[str, Any]) -> str:
    """Return the latest of a post's times, or its only one: the one that is out of bounds."""
    return str(row["edited"] or row["created"])


def _too_long(batch: pa.RecordBatch) -> pa.Array:
    long_id, long_author = (
        pc.greater(pc.utf8_length(batch[name]), LONGEST_NAME_CHARACTERS)
        for name in ("id", "author")
    )
    long_text = pc.greater(pc.utf8_length(batch["text"]), LONGEST_CHARACTERS)
    return pc.or_(long_text, pc.or_(long_id, long_author))


def _wrong_clock(batch: pa.RecordBatch, latest: datetime) -> pa.Array:
    created, edited = batch["created"], batch["edited"]
    wrong = pc.or_(pc.less(created, _timestamp(EARLIEST)), pc.greater(created, _timestamp(latest)))
    return pc.or_(wrong, pc.fill_null(pc.greater(edited, _timestamp(latest)), False))


def _timestamp(time: datetime) -> pa.Scalar:
    return pa.scalar(time, pa.timestamp("us", tz="UTC"))
