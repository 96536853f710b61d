"""The kinds of tables, by the names of files: CSV, JSON lines, JSON and Parquet.

What a kind means is in `readers.py`.
"""

from pathlib import Path

from rookery.core.errors import UsageError
from rookery.posts.sources.files import COMPRESSIONS, File
from rookery.posts.sources.zipped import SUFFIXES, zipped_table


def kind_of(path: File) -> str | None:
    """Return `csv`, `jsonl` or `parquet` by the file's name, packed or not; of a zip, its table's.

    None for any other name. A name in `.json` says nothing: most such files are no tables.
    """
    if isinstance(path, Path) and path.suffix.lower() == ".zip":
        return zipped_table(path)
    kind = _by_suffix(path)
    return None if kind == "json" else kind


def table_kind(path: Path) -> str:
    """Return the kind of a file that is to be read as a table, among them `json`.

    Raises `UsageError` for a name that is none of a table.
    """
    if (kind := kind_of(path) or _by_suffix(path)) is None:
        hint = "Give .csv, .jsonl, .ndjson, .json or .parquet"
        raise UsageError("not a table that can be read", where=path, hint=hint)
    return kind


def _by_suffix(path: File) -> str | None:
    names = [s.lower() for s in path.suffixes if s.lower() not in COMPRESSIONS]
    return SUFFIXES.get(names[-1]) if names else None
