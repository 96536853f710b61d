"""What no honest post has, whatever its source: a time that cannot be, or a text or a name of no
network's length.

Such a row is set aside with its reason, by its id alone where the text is what is wrong with it.
"""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from rookery.posts.sources.files import Read, SetAside

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""Older than any network here; a clock that was never set says 1970 or 1980."""
CLOCKS_DIFFER = timedelta(days=1)
"""A post may be so much later than the moment when it is taken in."""
LONGEST_CHARACTERS = 1_000_000
"""Six times what the most generous of the sources allow (Discourse, 150,000)."""
LONGEST_NAME_CHARACTERS = 8_000
"""Of an id or an author: the longest are addresses, and a server need not take a longer one (RFC
9110, 4.1).
"""

WRONG_CLOCK = "wrong_clock"
TOO_LONG = "too_long"


def within_bounds(read: Read, now: datetime) -> Read:
    """The same batches without the posts that are out of bounds, which are set aside."""
    for batch, beside in read:
        names = (
            pc.greater(pc.utf8_length(batch[name]), LONGEST_NAME_CHARACTERS)
            for name in ("id", "author")
        )
        long = pc.or_(pc.greater(pc.utf8_length(batch["text"]), LONGEST_CHARACTERS), pc.or_(*names))
        created, edited = batch["created"], batch["edited"]
        wrong = pc.or_(
            pc.less(created, _moment(EARLIEST)), pc.greater(created, _moment(now + CLOCKS_DIFFER))
        )
        wrong = pc.or_(wrong, pc.fill_null(pc.greater(edited, _moment(now + CLOCKS_DIFFER)), False))
        good = pc.invert(pc.or_(long, wrong))
        if not pc.all(good).as_py():
            ids = pc.utf8_slice_codeunits(
                batch["id"].filter(long), 0, LONGEST_NAME_CHARACTERS
            ).to_pylist()
            aside = [SetAside(f"id {id_}", TOO_LONG, {"id": id_}) for id_ in ids]
            wrong = pc.and_(wrong, pc.invert(long))
            aside += [
                SetAside(f"id {row['id']}", WRONG_CLOCK, row)
                for row in batch.filter(wrong).to_pylist()
            ]
            batch, beside = batch.filter(good), [*beside, *aside]
        yield batch, beside


def _moment(time: datetime) -> pa.Scalar:
    return pa.scalar(time, pa.timestamp("us", tz="UTC"))
