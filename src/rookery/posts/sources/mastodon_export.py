"""The archive of a Mastodon export: `outbox.json` and `actor.json` out of a tar.gz or a zip, and
nothing else of it.

Likes, bookmarks and media lie beside them and stay shut; nothing is ever unpacked to disk. An
archive that no server would write is refused: names that lead outside, links, the same file twice,
and sizes that no honest file unpacks to.
"""

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rookery.core.errors import DataError

LARGEST_FILE_BYTES = 1 << 29
"""A file inside that says to be larger is refused unread; so is a header of a tar."""

LARGEST_RATIO = 100
"""A tar may unpack to so many times its size, and `LARGEST_FILE_BYTES`: text packs 10 to 20 fold,
media not at all.
"""

_WANTED = ("outbox.json", "actor.json")
_MEND = "Ask the server for the export again, or download it again"


@dataclass(frozen=True)
class Export:
    """The two files, as they are; `actor` is None where there is none."""

    outbox: bytes
    actor: bytes | None


def is_export(path: Path) -> bool:
    """Whether a file is such an archive: a tar.gz by its name, a zip that holds an outbox."""
    if path.name.lower().endswith((".tar.gz", ".tgz")):
        return True
    if path.suffix.lower() != ".zip":
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(PurePosixPath(name).name == "outbox.json" for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def read_export(path: Path) -> Export:
    """The outbox and, if there is one, the actor; raises `DataError` for whatever is no sound and
    honest archive.
    """
    with _clear_errors(path):
        files = dict(_from_zip(path) if path.suffix.lower() == ".zip" else _from_tar(path))
    if "outbox.json" not in files:
        raise DataError(
            "not a Mastodon export: there is no outbox.json in it",
            where=path,
            hint="Give the archive as Mastodon made it",
        )
    return Export(files["outbox.json"], files.get("actor.json"))


class _Guarded(gzip.GzipFile):
    """Gzip that reads no more at once than a file may hold: a tar's header can ask for any
    amount.
    """

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_FILE_BYTES:
            raise tarfile.ReadError("a header says to be larger than any header is")
        return super().read(size)


def _from_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    allowed_bytes = LARGEST_RATIO * path.stat().st_size + LARGEST_FILE_BYTES
    seen: set[str] = set()
    with _Guarded(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r:") as archive:
        while (member := archive.next()) is not None:
            archive.members.clear()  # it remembers every file that it passed
            if not (member.isreg() or member.isdir()) or member.issparse():
                raise DataError(f"not a plain file: {member.name!r}", where=path, hint=_MEND)
            name = _wanted(member.name, member.size, seen, path)
            _check_size(member.offset_data + member.size, allowed_bytes, path)
            if name and member.isreg():
                yield name, archive.extractfile(member).read(member.size)
        while unpacked.read(1 << 20):  # to the end, where gzip's checksum stands
            _check_size(unpacked.tell(), allowed_bytes, path)


def _check_size(unpacked_bytes: int, allowed_bytes: int, path: Path) -> None:
    if unpacked_bytes > allowed_bytes:
        raise DataError(
            "the archive would unpack to far more than its size",
            where=path,
            hint="Ask Mastodon for a new one",
        )


def _from_zip(path: Path) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if stat.S_ISLNK(info.external_attr >> 16):
                raise DataError(f"not a plain file: {info.filename!r}", where=path, hint=_MEND)
            if name := _wanted(info.filename, info.file_size, seen, path):
                yield name, archive.read(info)


def _wanted(filename: str, size: int, seen: set[str], path: Path) -> str | None:
    """The name of a file that is to be read; raises `DataError` for a name or size that is not an
    honest one's.
    """
    place = PurePosixPath(filename)
    if place.is_absolute() or ".." in place.parts or "\\" in filename:
        raise DataError(f"a file in the archive would lie outside it: {filename!r}", where=path)
    if (
        place.name not in _WANTED or len(place.parts) > 2
    ):  # at the top, or in the one folder that holds all
        return None
    if place.name in seen:
        raise DataError(
            f"the archive holds {place.name} twice", where=path, hint="Give one export at a time"
        )
    if size > LARGEST_FILE_BYTES:
        hint = f"At most {LARGEST_FILE_BYTES >> 20} MiB are read"
        raise DataError(f"{place.name} says it is {size:,} bytes long", where=path, hint=hint)
    seen.add(place.name)
    return place.name


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise DataError(
            f"the archive is damaged or cut short: {error}", where=path, hint=_MEND
        ) from None
