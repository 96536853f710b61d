"""The format of a file, recognised by its first JSON value; of an archive, by the files inside it.

A source is a module with `recognizes(first)`, which returns whether a file that begins with this
JSON value belongs to it, and `read(path)`, which yields the file's posts in batches with the rows
set aside. To add one, write the module and name it in `SOURCES`. A file of none of them is a table
(`tabular.py`). Folders, and archives of several dumps, are taken apart in `posts/inputs.py`.
"""

from pathlib import Path
from types import ModuleType

from rookery.core.errors import DataError, UsageError
from rookery.posts.sources import (
    archives,
    atproto_answers,
    atproto_repo,
    discourse,
    jetstream,
    mastodon,
    reddit,
    tabular,
    x_api,
    x_api_v1,
    x_archive,
)
from rookery.posts.sources.files import File, first_json, opened

SOURCES: tuple[ModuleType, ...] = (
    x_api_v1,
    x_api,
    reddit,
    jetstream,
    atproto_answers,
    mastodon,
    discourse,
)
"""The sources of JSON files, asked in this order.

At most one should recognise a file: each looks for fields that no other source has.
"""
_BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"
_JSON_BEGINS = (b"{", b"[")


def source_to_read(path: Path, is_mapped: bool) -> ModuleType | None:
    """Return the module that reads this file, or None for a table, which every mapped file is.

    Raises as `source_of`, and `UsageError` if there is no such file.
    """
    if not path.exists():
        raise UsageError("there is no such file", where=path)
    return None if is_mapped else source_of(path)


def source_of(path: Path) -> ModuleType | None:
    """Return the module that reads this file, or None for a table.

    The file's name decides only for archives, CSV and Parquet: dumps have names like
    `RC_2015-01.zst`. Raises `DataError` if the file cannot be read, and `UsageError` for JSON of an
    unknown source.
    """
    if archives.is_archive(path):
        return source_of_export(path)
    if tabular.kind_of(path) in ("csv", "parquet"):
        return None
    if atproto_repo.recognizes(path):
        return atproto_repo
    first = first_json(path)
    source = _of_json(first)
    if source is None:
        _refuse_unless_table(path, first)
    return source


def source_of_export(archive: Path) -> ModuleType | None:
    """Return the module that reads an archive as the export of one account, None if it is none."""
    names = archives.names(archive)
    if any(map(mastodon.is_outbox, names)):
        return mastodon
    return x_archive if x_archive.is_part(names) else None


def source_of_dump(file: File) -> ModuleType | None:
    """Return the module that reads a file of JSON or a CAR; None for every other file.

    A file that begins as neither is not searched any further. Raises `DataError` if the file cannot
    be read.
    """
    with opened(file) as unpacked:
        is_json = unpacked.read(64).lstrip(_BEFORE_JSON).startswith(_JSON_BEGINS)
    if atproto_repo.recognizes(file):
        return atproto_repo
    if not is_json:
        return None
    first = first_json(file)
    if first is None and _is_named_json(file):
        raise _not_json(file)
    return _of_json(first)


def _of_json(first: object) -> ModuleType | None:
    return next((source for source in SOURCES if source.recognizes(first)), None)


def _refuse_unless_table(path: Path, first: object) -> None:
    """Raise for a file of no source that cannot be read as a table either.

    A list of objects in a .json file is one; a single object is not.
    """
    if isinstance(first, list) and first and isinstance(first[0], dict):
        first = first[0]
    elif _is_named_json(path) and tabular.kind_of(path) is None:
        if first is None:
            raise _not_json(path)
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


def _is_named_json(file: File) -> bool:
    return ".json" in (suffix.lower() for suffix in file.suffixes)


def _not_json(file: File) -> DataError:
    hint = "It is damaged or cut short: export or download it again"
    return DataError("the file is not JSON from beginning to end", where=file, hint=hint)


def _has_author_inside(first: object) -> bool:
    """Return whether the author is an object.

    A table with guessed columns would lose what that object states about protection.
    """
    return isinstance(first, dict) and any(
        isinstance(first.get(name), dict) for name in tabular.GUESSES["author"]
    )


def description_of(source: ModuleType) -> dict[str, object]:
    """Return how a source reads files, by which an ingest knows whether it has read one so before.

    A source raises its `READING` when the same file says something else of rights than before.
    """
    reading = getattr(source, "READING", None)
    return {"format": name_of(source)} | ({"reading": reading} if reading else {})


def name_of(source: ModuleType) -> str:
    """Return a source's name, as in reports and in a post's `source`."""
    return source.__name__.rpartition(".")[2]
