"""Which format a file is in, as its first JSON value shows it; of an archive, as the files inside
it do.

A source is a module with `recognizes(first)`, whether a file that begins with this JSON value is its
own, and `read(path)`, the file's posts in batches with what was set aside. To add one, write the
module and name it in `SOURCES`. A file of none of them is a table (`tabular.py`).
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
"""Asked in this order. At most one should say yes: each knows its own by fields that no other
has.
"""


def source_of(path: Path) -> ModuleType | None:
    """The module that reads this file, or None for a table; raises `DataError` if it cannot be
    read.

    The file's name decides only for archives, CSV and Parquet: dumps have names like
    `RC_2015-01.zst`.
    """
    if mastodon_export.is_export(path):
        return mastodon
    if path.suffix.lower() == ".zip":
        return x_archive
    if tabular.kind_of(path) in ("csv", "parquet"):
        return None
    if atproto_repo.recognizes(path):
        return atproto_repo
    first = first_json(path)
    source = next((source for source in SOURCES if source.recognizes(first)), None)
    if (
        source is None
        and tabular.kind_of(path) is None
        and ".json" in map(str.lower, path.suffixes)
    ):
        _refuse(path, first)
    if source is None and _has_author_inside(first):
        hint = "Say with --map which columns to take; their visibility is then yours to vouch for"
        raise UsageError(
            "posts of no known source, each with an account inside that may be protected",
            where=path,
            hint=hint,
        )
    return source


def _has_author_inside(first: object) -> bool:
    """Whether the author is an object, as in X API v1.1: a guessed table would lose what it says of
    protection.
    """
    return isinstance(first, dict) and any(
        isinstance(first.get(name), dict) for name in tabular.GUESSES["author"]
    )


def _refuse(path: Path, first: object) -> None:
    if first is None:
        hint = "It is damaged or cut short: export or download it again"
        raise DataError("the file is not JSON from beginning to end", where=path, hint=hint)
    known = ", ".join(map(name_of, SOURCES))
    raise UsageError(
        "JSON, but the posts of no known source",
        where=path,
        hint=f"Known: {known}; or name it .jsonl",
    )


def name_of(source: ModuleType) -> str:
    """A source's name in reports and in a post's `source`."""
    return source.__name__.rpartition(".")[2]
