"""Which column of a table holds which field of a post: as `--map` says, or by the columns' names.

Names are compared as they are, and then without blanks, capitals and marks: `Created At` is found
as `created_at`. Columns that speak of who may read, and of consent, are found by name in any case,
mapped or not.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rookery.core.errors import DataError, UsageError
from rookery.posts.post import CONSENT_FIELD, POST_SCHEMA
from rookery.posts.sources.tables.readers import no_column
from rookery.posts.sources.tables.visibility import Says, what_it_says

REQUIRED = ("text", "author", "created")
GUESSES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "post_id", "tweet_id", "uri", "id_str"),
    "text": ("text", "content", "body", "message", "full_text"),
    "author": ("author", "author_id", "user", "author_handle", "username", "user_id"),
    "created": ("created", "created_at", "created_utc", "publish_date", "date", "timestamp"),
    "language": ("language", "lang", "langs"),
    "reply_to": ("reply_to", "in_reply_to_status_id_str", "in_reply_to_id"),
    "conversation": ("conversation", "conversation_id"),
    "likes": ("likes", "like_count", "favorite_count", "favorites"),
    "reposts": ("reposts", "repost_count", "retweet_count", "retweets"),
    "replies": ("replies", "reply_count"),
    "alt_text": ("alt_text",),
}
"""The names under which a field is looked for when there is no mapping; the first one wins."""
GUESSES_SINCE: Mapping[str, tuple[str, ...]] = {"sensitive": ("sensitive", "possibly_sensitive")}
"""Further names, of fields that releases before did not have; no ingest's key tells of them."""
RIGHTS = ("visibility", *CONSENT_FIELD.values())
"""The fields that are read from the column of their name, mapped or not."""


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table that are read.

    fields: the column of each field of a post, but for visibility. readers: the columns that speak
    of who may read, with what they say. vouched: whether a person mapped the file. mapping: as
    releases before this one resolved it, by which their ingests are found again.
    """

    fields: Mapping[str, str]
    readers: Mapping[str, Says]
    vouched: bool
    mapping: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """Return the names of all columns that are read, each once."""
        return list(dict.fromkeys((*self.fields.values(), *self.readers)))


def resolve(path: Path, columns: Sequence[str], mapping: Mapping[str, str] | None) -> TableColumns:
    """Return the columns to read of a file that has these columns.

    Raises `UsageError` for a wrong or missing field, `DataError` for a column that the file lacks
    or has twice.
    """
    found = guess(columns) if mapping is None else _given(path, columns, mapping)
    _check_required(path, columns, found)
    by_letters = {letters_of(name): name for name in reversed(columns)}
    rights = {n: by_letters[letters_of(n)] for n in RIGHTS if letters_of(n) in by_letters}
    rights |= {name: name for name in RIGHTS if name in columns}
    resolved = rights | found
    readers = {name: says for name in columns if (says := what_it_says(name))}
    if named := resolved.get("visibility"):
        readers = {named: what_it_says(named) or "audience"} | readers
    fields = {field: name for field, name in resolved.items() if field != "visibility"}
    fields = (guess(columns, GUESSES_SINCE) if mapping is None else {}) | fields
    readers = {name: says for name, says in readers.items() if name not in fields.values()}
    found_columns = TableColumns(fields, readers, mapping is not None, resolved)
    for name in found_columns.names:
        if columns.count(name) > 1:
            hint = "Give each column a name of its own"
            raise DataError(f"there are two columns {name!r}", where=path, hint=hint)
    return found_columns


def guess(
    columns: Sequence[str], guesses: Mapping[str, tuple[str, ...]] = GUESSES
) -> dict[str, str]:
    """Return the column of each field that is found by its name."""
    by_name = {name: name for name in columns}
    by_letters = {letters_of(name): name for name in reversed(columns) if "." not in name}
    found = {}
    for field, names in guesses.items():
        columns_named = [by_name[name] for name in names if name in by_name]
        columns_named += [by_letters[n] for n in map(letters_of, names) if n in by_letters]
        if columns_named:
            found[field] = columns_named[0]
    return found


def letters_of(name: str) -> str:
    """Return a name without blanks, capitals and marks: `Created At` becomes `createdat`."""
    return re.sub(r"[\W_]+", "", name).lower()


def _given(path: Path, columns: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    known = set(POST_SCHEMA.names) - {"source"}
    trimmed = {name.strip(): name for name in reversed(columns)}
    found = {}
    for field, column in mapping.items():
        if field not in known:
            hint = f"Known fields: {', '.join(sorted(known))}"
            raise UsageError(f"--map: there is no field {field!r}", hint=hint)
        if column not in columns and column not in trimmed:
            raise no_column(path, column, columns)
        found[field] = column if column in columns else trimmed[column]
    return found


def _check_required(path: Path, columns: Sequence[str], found: Mapping[str, str]) -> None:
    missing = [field for field in REQUIRED if field not in found]
    if missing:
        options = ",".join(f"{field}=…" for field in missing)
        raise UsageError(
            f"which column is {' and which is '.join(missing)}?",
            where=path,
            hint=f"Give --map {options}; the columns are: {', '.join(columns)}",
        )
