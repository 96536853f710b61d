"""Scrubbing of places: an author asked to forget where posts were written.

That holds for one post, for all posts up to some id, or for all. The request is an event of the
live log (`scrub_place`). Ingest takes no such place in; those that are in the lake already stay
there until the next erasure (`erase.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from rookery.posts.event import THE_POST
from rookery.posts.live import LiveLog


@dataclass(frozen=True)
class Scrubs:
    """The requests of all authors to scrub places.

    authors: for an author, the id of the last post whose place goes; "" if all go. posts: the ids
    of single posts.
    """

    authors: Mapping[str, str] = field(default_factory=dict)
    posts: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.authors or self.posts)


def scrubs(log: LiveLog, since: int = 0) -> Scrubs:
    """Return what all authors asked for, after a watermark.

    Of two requests of one author the farther one holds.
    """
    authors: dict[str, str] = {}
    posts: set[str] = set()
    for event, _ in log.of_kind("scrub_place", since):
        if event.cause == THE_POST:
            posts.add(event.subject)
        else:
            before = authors.get(event.subject, event.value)
            authors[event.subject] = _farther(before, event.value)
    return Scrubs(authors, frozenset(posts))


def to_scrub(batch: pa.RecordBatch, requested: Scrubs) -> pa.Array:
    """Return which posts (with `id`, `author`, `place`) have a place that has to go, bool (n,)."""
    by_author = pc.is_in(batch["author"], pa.array(list(requested.authors), pa.string()))
    by_id = pc.is_in(batch["id"], pa.array(list(requested.posts), pa.string()))
    rows = zip(
        by_author.to_pylist(), batch["id"].to_pylist(), batch["author"].to_pylist(), strict=True
    )
    reached = pa.array(
        [may and _reaches(requested.authors[author], id_) for may, id_, author in rows], pa.bool_()
    )
    return pc.and_(pc.is_valid(batch["place"]), pc.or_(reached, by_id))


def scrubbed(batch: pa.RecordBatch, requested: Scrubs) -> pa.RecordBatch:
    """Return the posts without the places that have to go."""
    if not requested or batch["place"].null_count == batch.num_rows:
        return batch
    place = pc.if_else(to_scrub(batch, requested), pa.scalar(None, pa.string()), batch["place"])
    return batch.set_column(
        batch.schema.get_field_index("place"), batch.schema.field("place"), place
    )


def _farther(one: str, other: str) -> str:
    """Return the later of two last posts; "" means all posts and is the latest."""
    return max(one, other, key=_order) if one and other else ""


def _reaches(last: str, post_id: str) -> bool:
    return not last or _order(post_id) <= _order(last)


def _order(post_id: str) -> tuple[int, str]:
    """Return the key that sorts ids by time: ids that are numbers rise, and longer is larger."""
    return len(post_id), post_id
