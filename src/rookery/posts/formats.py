"""Which format a file is in, as its first JSON value shows it.

A source is a module with `is_mine(first)`, whether a file that begins with this JSON value is its own,
and `read(path)`, the file's posts in batches with what was set aside. To add one, write the module and
name it in `SOURCES`. A file of none of them is a table (`tabular.py`).
"""

from pathlib import Path
from types import ModuleType

from rookery.posts import reddit, tabular, x_api
from rookery.posts.files import first_json

SOURCES: tuple[ModuleType, ...] = (x_api, reddit)
"""Asked in this order. At most one should say yes: each knows its own by fields that no other has."""


def source_of(path: Path) -> ModuleType | None:
    """The module that reads this file, or None for a table; raises `DataError` if it cannot be opened.

    The file's name decides only for CSV and Parquet: dumps have names like `RC_2015-01.zst`.
    """
    if tabular.kind_of(path) in ("csv", "parquet"):
        return None
    first = first_json(path)
    return next((source for source in SOURCES if source.is_mine(first)), None)


def name_of(source: ModuleType) -> str:
    """A source's name in reports and in a post's `source`."""
    return source.__name__.rpartition(".")[2]
