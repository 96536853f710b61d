"""A table inside a zip: finds it, and opens it without unpacking anything to disk.

A zip is a zipped table if nothing else is in it, apart from notes and from what operating systems
add. Archives of a network hold other files as well, and are read by their own sources.
"""

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from rookery.core.errors import DataError

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
"""The kinds of tables by the ends of their names."""
_NOTES = (".txt", ".md", ".pdf", ".rtf")
_ENCRYPTED = 1  # bit 0 of a file's flags in a zip
_MEND = "Download it again, or unpack it and give the files in it"


def zipped_table(path: Path) -> str | None:
    """Return the kind of the table that a zip holds; None if it holds something else as well."""
    if path.suffix.lower() != ".zip" or not path.is_file():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive)
    except (zipfile.BadZipFile, OSError):
        return None  # the archive's own reader says what is wrong with it
    kinds = {SUFFIXES.get(_suffix(member)) for member in members}
    return kinds.pop() if len(kinds) == 1 else None


@contextmanager
def opened_member(path: Path) -> Iterator[io.BufferedReader]:
    """Open the only table of a zip; raises `DataError` if it holds several, or is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            with archive.open(_only(archive, path)) as member:
                yield io.BufferedReader(member, 1 << 16)  # type: ignore[arg-type]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        what = f"the zip is damaged or cut short: {error}"
        raise DataError(what, where=path, hint=_MEND) from None


def _only(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    members = _members(archive)
    if len(members) != 1:
        names = ", ".join(member.filename for member in members[:3])
        what = f"the zip holds {len(members)} files: {names}"
        raise DataError(what, where=path, hint="Unpack it, and give the tables that you mean")
    if members[0].flag_bits & _ENCRYPTED:
        hint = "Unpack it with its password, and zip it again without one"
        raise DataError(f"{members[0].filename} is encrypted", where=path, hint=hint)
    if stat.S_ISLNK(members[0].external_attr >> 16):
        raise DataError(f"not a plain file: {members[0].filename!r}", where=path, hint=_MEND)
    return members[0]


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the files of a zip without notes and without what operating systems add."""
    return [
        member
        for member in archive.infolist()
        if not member.is_dir()
        and not any(part.startswith((".", "__MACOSX")) for part in _parts(member))
        and _suffix(member) not in _NOTES
    ]


def _parts(member: zipfile.ZipInfo) -> tuple[str, ...]:
    return PurePosixPath(member.filename).parts


def _suffix(member: zipfile.ZipInfo) -> str:
    return PurePosixPath(member.filename).suffix.lower()
