"""Names of sources: ids that are unique within one forum only, told apart where posts of two come
into one lake.

A Discourse forum counts its posts from 1 and its files do not tell its address, so the person who
ingests does (`--source-name`). Everything by which the source names a post, a thread or an author
then begins with that name and a slash. Ids of the other sources are addresses, or numbers of the
whole network.
"""

import re
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.errors import UsageError
from rookery.posts.event import Event
from rookery.posts.sources.files import Read, SetAside

NAMING = ("id", "author", "reply_to", "quote_of", "conversation", "version_of")
"""The fields of a post that are names which its source gave."""
_NAMED_BY_VALUE = ("replace_post", "scrub_place")


def under(name: str, read: Read) -> Read:
    """The same posts and events, every name in them below that of their source."""
    for batch, beside in read:
        yield (
            _named(name, batch),
            [item if isinstance(item, SetAside) else _event(name, item) for item in beside],
        )


def check_name(name: str) -> None:
    """Raise `UsageError` for what is no host or other plain name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.:_-]*", name):
        raise UsageError(
            f"{name!r} is no name for a source", hint="Give a host, such as forum.example.org"
        )


def _named(name: str, batch: pa.RecordBatch) -> pa.RecordBatch:
    for field in NAMING:
        column = pc.binary_join_element_wise(name, batch[field], "/")
        batch = batch.set_column(
            batch.schema.get_field_index(field), batch.schema.field(field), column
        )
    return batch


def _event(name: str, event: Event) -> Event:
    value = (
        f"{name}/{event.value}" if event.kind in _NAMED_BY_VALUE and event.value else event.value
    )
    return replace(event, subject=f"{name}/{event.subject}", value=value)
