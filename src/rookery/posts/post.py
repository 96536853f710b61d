"""`Post`: what a person wrote and what the author allows; and the same as an Arrow schema.

In bulk, posts travel as Arrow tables of `POST_SCHEMA`; one at a time, as `Post`. Rights are part of
the record: visibility is the audience that the author wrote for, and consent is, for each use, yes
(True), no (False) or undefined (None). `rights.py` decides what follows from them, `sources/` reads
posts from a network's files, and `lake.py` stores them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, get_args

import pyarrow as pa

Visibility = Literal["public", "unlisted", "followers", "direct", "unknown"]
VISIBILITIES: tuple[Visibility, ...] = get_args(Visibility)  # the order matters: widest first

Use = Literal["search", "answers", "ads", "training"]
USES: tuple[Use, ...] = get_args(Use)

CONSENT_FIELD = {use: f"consent_{use}" for use in USES}  # the field of a post, by use


@dataclass(frozen=True, slots=True)
class Post:
    """One post. Times are UTC; counts are None if the source does not report them.

    edited: when this version was written, None for the first one; of two versions of an id the
    later holds. version_of: the id of the first version, if the source gives every version an id
    of its own (X). place: where it was written, in the source's words; a scrub of places erases it.
    sensitive: whether its author or the source marks it as not for everybody. media: the kinds of
    what is attached, of `sources/media.py`, with commas; "" if there is nothing, None if unknown.
    """

    id: str
    author: str
    text: str
    created: datetime
    language: str | None = None
    reply_to: str | None = None
    quote_of: str | None = None
    conversation: str | None = None
    likes: int | None = None
    reposts: int | None = None
    replies: int | None = None
    alt_text: str | None = None
    visibility: Visibility = "unknown"  # never taken for public
    consent_search: bool | None = None
    consent_answers: bool | None = None
    consent_ads: bool | None = None
    consent_training: bool | None = None
    source: str = ""
    edited: datetime | None = None
    version_of: str | None = None
    place: str | None = None
    sensitive: bool | None = None
    media: str | None = None


POST_SCHEMA = pa.schema(  # the fields of `Post` in their order, by which files store them
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("author", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("created", pa.timestamp("us", tz="UTC"), nullable=False),  # as Delta Lake stores
        pa.field("language", pa.string()),
        pa.field("reply_to", pa.string()),
        pa.field("quote_of", pa.string()),
        pa.field("conversation", pa.string()),
        pa.field("likes", pa.int64()),
        pa.field("reposts", pa.int64()),
        pa.field("replies", pa.int64()),
        pa.field("alt_text", pa.string()),
        pa.field("visibility", pa.string(), nullable=False),
        *(pa.field(name, pa.bool_()) for name in CONSENT_FIELD.values()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("edited", pa.timestamp("us", tz="UTC")),
        pa.field("version_of", pa.string()),
        pa.field("place", pa.string()),
        pa.field("sensitive", pa.bool_()),
        pa.field("media", pa.string()),
    ]
)


def to_batch(posts: Sequence[Post]) -> pa.RecordBatch:
    """Return posts as a batch of `POST_SCHEMA`."""
    columns = {f.name: [getattr(post, f.name) for post in posts] for f in fields(Post)}
    return pa.RecordBatch.from_pydict(columns, schema=POST_SCHEMA)


def to_table(posts: Sequence[Post]) -> pa.Table:
    """Return posts as a table of `POST_SCHEMA`."""
    return pa.Table.from_batches([to_batch(posts)])


def from_row(row: dict[str, Any]) -> Post:
    """Return a row of such a table as a `Post`, without columns that a post does not have."""
    return Post(**{f.name: row[f.name] for f in fields(Post)})
