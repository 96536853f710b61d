"""The format of a file, recognised by its first JSON value; of an archive, by the files inside it.

A source is a module with `recognizes(first)`, which returns whether a file that begins with this
JSON value belongs to it, and `read(path)`, which yields the file's posts in batches with the rows
set aside. To add one, write the module and name it in `SOURCES`. A file of none of them is a table
(`tabular.py`).
"""

from pathlib import Path
from types import ModuleType

from rookery.core.errors import DataError, UsageError
from rookery.posts.sources import (
    atproto_repo,
    discourse,
    jetstream,
    mastodon,
    mastodon_export,
    reddit,
    tabular,
    x_api,
    x_archive,
)
from rookery.posts.sources.files import first_json

SOURCES: tuple[ModuleType, ...] = (x_api, reddit, jetstream, mastodon, discourse)
"""The sources of JSON files, asked in this order.

At most one should recognise a file: each looks for fields that no other source has.
"""


def source_to_read(path: Path, is_mapped: bool) -> ModuleType | None:
    """Return the module that reads this file, or None for a table, which every mapped file is.

    Raises as `source_of`, and `UsageError` if there is no such file.
    """
    if not path.exists():
        raise UsageError("there is no such file", where=path)
    # an archive has no columns, so that a mapping beside it is meant for the other files
    return None if is_mapped and path.suffix.lower() != ".zip" else source_of(path)


def source_of(path: Path) -> ModuleType | None:
    """Return the module that reads this file, or None for a table.

    The file's name decides only for archives, CSV and Parquet: dumps have names like
    `RC_2015-01.zst`. Raises `DataError` if the file cannot be read, and `UsageError` for JSON of an
    unknown source.
    """
    if mastodon_export.is_export(path):
        return mastodon
    if path.suffix.lower() == ".zip":
        return None if tabular.kind_of(path) else x_archive
    if tabular.kind_of(path) in ("csv", "parquet"):
        return None
    if atproto_repo.recognizes(path):
        return atproto_repo
    first = first_json(path)
    source = next((source for source in SOURCES if source.recognizes(first)), None)
    if source is None:
        _refuse_unless_table(path, first)
    return source


def _refuse_unless_table(path: Path, first: object) -> None:
    """Raise for a file of no source that cannot be read as a table either.

    A list of objects in a .json file is one; a single object is not.
    """
    is_json = ".json" in (suffix.lower() for suffix in path.suffixes)
    if isinstance(first, list) and first and isinstance(first[0], dict):
        first = first[0]
    elif is_json and tabular.kind_of(path) is None:
        if first is None:
            hint = "It is damaged or cut short: export or download it again"
            raise DataError("the file is not JSON from beginning to end", where=path, hint=hint)
        known = ", ".join(map(name_of, SOURCES))
        hint = f"Known sources: {known}. If it is a table of JSON lines, name it .jsonl"
        raise UsageError("JSON, but the posts of no known source", where=path, hint=hint)
    if _has_author_inside(first):
        hint = "Name the columns with --map; you then vouch that the posts are public"
        raise UsageError(
            "posts of no known source, each with an account inside that may be protected",
            where=path,
            hint=hint,
        )


def _has_author_inside(first: object) -> bool:
    """Return whether the author is an object, as in X API v1.1.

    A table with guessed columns would lose what that object states about protection.
    """
    return isinstance(first, dict) and any(
        isinstance(first.get(name), dict) for name in tabular.GUESSES["author"]
    )


def name_of(source: ModuleType) -> str:
    """Return a source's name, as in reports and in a post's `source`."""
    return source.__name__.rpartition(".")[2]
