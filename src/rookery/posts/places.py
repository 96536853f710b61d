"""Scrubbing of places: an author asked that where posts were written be forgotten, one, up to some,
or all.

The wish is an event of the live log (`scrub_place`). Ingest takes no such place in; those that are
in the lake already stay there until the next erasure (`erase.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from rookery.posts.event import THE_POST
from rookery.posts.live import LiveLog


@dataclass(frozen=True)
class Scrubs:
    """authors: for an author, the id of the last post whose place goes; "" where all go. posts:
    single ones.
    """

    authors: Mapping[str, str] = field(default_factory=dict)
    posts: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.authors or self.posts)


def scrubs(log: LiveLog) -> Scrubs:
    """What all authors asked for; of two wishes of one author the farther one holds."""
    found: dict[str, str] = {}
    posts: set[str] = set()
    for event, _ in log.of_kind("scrub_place"):
        if event.cause == THE_POST:
            posts.add(event.subject)
            continue
        before = found.get(event.subject)
        farther = before is None or (
            before and (not event.value or _order(event.value) > _order(before))
        )
        found[event.subject] = event.value if farther else before
    return Scrubs(found, frozenset(posts))


def to_scrub(batch: pa.RecordBatch, wished: Scrubs) -> pa.Array:
    """Which posts (with `id`, `author`, `place`) have a place that has to go."""
    by_author = pc.is_in(batch["author"], pa.array(list(wished.authors), pa.string()))
    by_id = pc.is_in(batch["id"], pa.array(list(wished.posts), pa.string()))
    rows = zip(
        by_author.to_pylist(), batch["id"].to_pylist(), batch["author"].to_pylist(), strict=True
    )
    reached = pa.array(
        [may and _reaches(wished.authors[author], id_) for may, id_, author in rows], pa.bool_()
    )
    return pc.and_(pc.is_valid(batch["place"]), pc.or_(reached, by_id))


def scrubbed(batch: pa.RecordBatch, wished: Scrubs) -> pa.RecordBatch:
    """The posts without the places that have to go."""
    if not wished or batch["place"].null_count == batch.num_rows:
        return batch
    place = pc.if_else(to_scrub(batch, wished), pa.scalar(None, pa.string()), batch["place"])
    return batch.set_column(
        batch.schema.get_field_index("place"), batch.schema.field("place"), place
    )


def _reaches(last: str, post_id: str) -> bool:
    return not last or _order(post_id) <= _order(last)


def _order(post_id: str) -> tuple[int, str]:
    """Ids that are numbers rise with time; a longer number is a larger one."""
    return len(post_id), post_id
