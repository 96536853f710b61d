"""Names of sources, which keep the ids of two forums apart that both count from 1.

A Discourse forum numbers its posts from 1 and its files do not hold its address, so the person who
ingests them gives it (`--source-name`). Every id of a post, a thread or an author then begins with
that name and a slash. The other sources do not need it: their ids are URLs, or numbers that are
unique within the whole network.
"""

import re
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from rookery.core.errors import UsageError
from rookery.posts.event import Event
from rookery.posts.sources.files import Read, SetAside

NAMING = ("id", "author", "reply_to", "quote_of", "conversation", "version_of")
"""The fields of a post that hold an id given by its source."""
_KINDS_WITH_POST_IDS = ("replace_post", "scrub_place")
"""The kinds of events whose value is the id of a post."""


def prefix_ids(name: str, read: Read) -> Read:
    """Yield the same posts and events, each id in them prefixed with the name of their source."""
    for batch, beside in read:
        yield (
            _prefixed(name, batch),
            [_aside(name, i) if isinstance(i, SetAside) else _event(name, i) for i in beside],
        )


def check_name(name: str) -> None:
    """Raise `UsageError` unless the name is a host or another plain name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.:_-]*", name):
        raise UsageError(
            f"{name!r} is not a name for a source", hint="Give a host, such as forum.example.org"
        )


def _prefixed(name: str, batch: pa.RecordBatch) -> pa.RecordBatch:
    for field in NAMING:
        column = pc.binary_join_element_wise(name, batch[field], "/")
        place = batch.schema.get_field_index(field)
        batch = batch.set_column(place, batch.schema.field(field), column)
    return batch


def _aside(name: str, item: SetAside) -> SetAside:
    post_id, author = (given and f"{name}/{given}" for given in (item.id, item.author))
    return replace(item, id=post_id, author=author)


def _event(name: str, event: Event) -> Event:
    has_id = event.kind in _KINDS_WITH_POST_IDS and event.value
    value = f"{name}/{event.value}" if has_id else event.value
    return replace(event, subject=f"{name}/{event.subject}", value=value)
