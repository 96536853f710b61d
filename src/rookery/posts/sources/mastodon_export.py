"""The archive of a Mastodon export: reads `outbox.json` and `actor.json` out of a tar.gz or a zip.

Likes, bookmarks and media in it are never opened, and nothing is unpacked to disk. An archive that
no server would write is refused: names that lead outside, links, the same file twice, and sizes
that no honest file unpacks to. What the two files mean is read in `mastodon.py`.
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
"""The largest file inside: one that claims to be larger is refused unread; so is a tar's header."""

LARGEST_RATIO = 100
"""A tar may unpack to this many times its size plus `LARGEST_FILE_BYTES`: text is compressed 10 to
20 fold, media not at all.
"""

_WANTED = ("outbox.json", "actor.json")
_MEND = "Ask the server for the export again, or download it again"


@dataclass(frozen=True)
class Export:
    """The two files of an export, undecoded; `actor` is None if the archive has none."""

    outbox: bytes
    actor: bytes | None


def is_export(path: Path) -> bool:
    """Return whether a file is an export: a tar.gz by its name, or a zip that holds an outbox."""
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
    """Return the outbox and, if there is one, the actor.

    Raises `DataError` if the archive is damaged or not an honest one.
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
    """Gzip that refuses to read more at once than a file may hold.

    A tar's header can ask for any amount.
    """

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= LARGEST_FILE_BYTES:
            raise tarfile.ReadError("a header claims to be larger than any header is")
        return super().read(size)


class _ForgetfulTar(tarfile.TarFile):
    """A tar that does not remember the files that it passed."""

    members: list[tarfile.TarInfo]

    def next(self) -> tarfile.TarInfo | None:
        member = super().next()
        self.members.clear()
        return member


def _from_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    allowed_bytes = LARGEST_RATIO * path.stat().st_size + LARGEST_FILE_BYTES
    seen: set[str] = set()
    with _Guarded(path) as unpacked, _ForgetfulTar(fileobj=unpacked) as archive:
        while (member := archive.next()) is not None:
            if not (member.isreg() or member.isdir()) or member.issparse():
                raise DataError(f"not a plain file: {member.name!r}", where=path, hint=_MEND)
            name = _wanted(member.name, member.size, seen, path)
            _check_size(member.offset_data + member.size, allowed_bytes, path)
            content = archive.extractfile(member) if name else None  # None for a folder, too
            if name and content:
                yield name, content.read(member.size)
        while unpacked.read(1 << 20):  # to the end, where gzip's checksum is
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
    """Return the name of a file that is to be read, None for other files.

    Raises `DataError` for a name or a size that no honest archive has.
    """
    place = PurePosixPath(filename)
    if place.is_absolute() or ".." in place.parts or "\\" in filename:
        raise DataError(f"a file in the archive would lie outside it: {filename!r}", where=path)
    is_near_top = len(place.parts) <= 2  # at the top, or in the one folder that holds everything
    if place.name not in _WANTED or not is_near_top:
        return None
    if place.name in seen:
        raise DataError(
            f"the archive holds {place.name} twice", where=path, hint="Give one export at a time"
        )
    if size > LARGEST_FILE_BYTES:
        hint = f"At most {LARGEST_FILE_BYTES >> 20} MiB are read"
        raise DataError(f"{place.name} claims to be {size:,} bytes long", where=path, hint=hint)
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
