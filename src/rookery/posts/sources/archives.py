"""What lies inside a zip, a tar (also compressed) or a folder, each file read where it lies.

Nothing is unpacked to disk: a zip's file is read as a stream, a tar's is held in memory while it
is at hand, and a folder's is opened. An archive that nobody honest would write is refused: names
that lead outside, links and devices, sizes that no honest file unpacks to, files that overlap. What
the files mean is read in the modules of the formats.
"""

import functools
import gzip
import io
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from rookery.core.errors import DataError
from rookery.posts.sources.files import Member, opened

LARGEST_FILE_BYTES = 1 << 29
"""The largest file that is held in memory: one that claims to be larger is refused unread; so is a
tar's header.
"""
LARGEST_RATIO = 100
"""A tar may unpack to this many times its size plus `LARGEST_FILE_BYTES`: text is compressed 10 to
20 fold, media not at all. A file in a zip may do ten times as much, for it is read alone.
"""
MEND = "Ask for the archive again, or download it again"

_TAR_NAMES = (".tar", ".tgz", ".tbz2", ".txz")
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_ZIP_MAGIC = b"PK\x03\x04"
_ENCRYPTED = 1  # bit 0 of a file's flags in a zip

Wanted = Callable[[PurePosixPath], bool]


def is_archive(place: Path) -> bool:
    """Return whether there are files inside: in a zip, a tar or a folder."""
    return place.is_dir() or is_zip(place) or is_tar(place)


def is_zip(path: Path) -> bool:
    """Return whether a file is a zip, by its name or else by its first bytes."""
    return path.suffix.lower() == ".zip" or _head(path, len(_ZIP_MAGIC)) == _ZIP_MAGIC


def is_tar(path: Path) -> bool:
    """Return whether a file is a tar, by its name or else by its first header.

    Its name may end in a compression, too.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if suffixes and (suffixes[-1] in _TAR_NAMES or suffixes[0] == ".tar"):
        return True
    return _head(path, _TAR_MAGIC_AT + len(_TAR_MAGIC))[_TAR_MAGIC_AT:] == _TAR_MAGIC


def _head(path: Path, size: int) -> bytes:
    """Return the first bytes of a file, decompressed; nothing if they cannot be read."""
    try:
        with opened(path) as file:
            return file.read(size)
    except (DataError, OSError, EOFError, zlib.error):
        return b""


@contextmanager
def members(place: Path, wanted: Wanted = lambda _: True) -> Iterator[Iterator[Member]]:
    """Open an archive or a folder, and yield those of its files that are wanted, in its order.

    A file of a tar has to be read before the next one is asked for, unless it is kept; every file
    has to be read before the archive is closed. Raises `DataError` if the archive is damaged or not
    an honest one.
    """
    with _clear_errors(place):
        if place.is_dir():
            yield _in_folder(place, wanted)
        elif is_zip(place):
            with zipfile.ZipFile(place) as archive:
                yield _in_zip(archive, place, wanted)
        else:
            with opened(place) as file:
                yield _in_tar(_Forward(cast(IO[bytes], file)), place, wanted)


def names(place: Path) -> list[PurePosixPath]:
    """Return the places of all files in an archive or a folder; their content is not read."""
    found: list[PurePosixPath] = []

    def note(path: PurePosixPath) -> bool:
        found.append(path)
        return False

    with members(place, note) as none:
        list(none)
    return found


def content(member: Member) -> bytes:
    """Return the bytes of a file; raises `DataError` if there are too many."""
    if member.size_bytes > LARGEST_FILE_BYTES:
        raise _too_long(member.path, member.size_bytes, member.archive)
    with member.open_bytes() as file:
        return file.read(LARGEST_FILE_BYTES)


def is_hidden(path: PurePosixPath | Path) -> bool:
    """Return whether a file is one that systems add beside what people put there."""
    return any(part.startswith(".") and part not in (".", "..") for part in path.parts) or (
        "__MACOSX" in path.parts
    )


def _in_folder(folder: Path, wanted: Wanted) -> Iterator[Member]:
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            file = Path(place, name)
            path = PurePosixPath(file.relative_to(folder).as_posix())
            if is_hidden(path) or not wanted(path):
                continue
            if file.is_symlink() or not file.is_file():
                raise _not_plain(path, folder)
            yield Member(folder, path, file.stat().st_size, _opener(file))


def _opener(file: Path) -> Callable[[], IO[bytes]]:
    return lambda: open(file, "rb")


def _in_zip(archive: zipfile.ZipFile, place: Path, wanted: Wanted) -> Iterator[Member]:
    infos = archive.infolist()
    if sum(info.compress_size for info in infos) > place.stat().st_size:
        raise DataError("files in the zip overlap", where=place, hint=MEND)
    for info in infos:
        path = _inside(info.filename, place)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise _not_plain(path, place)
        if info.is_dir() or is_hidden(path) or not wanted(path):
            continue
        if info.flag_bits & _ENCRYPTED:
            hint = "Unpack it with its password, and zip it again without one"
            raise DataError(f"{path.name} is encrypted", where=place, hint=hint)
        if info.file_size > 10 * LARGEST_RATIO * info.compress_size + LARGEST_FILE_BYTES:
            raise _too_long(path, info.file_size, place)
        yield Member(place, path, info.file_size, functools.partial(archive.open, info))


def _in_tar(file: "_Forward", place: Path, wanted: Wanted) -> Iterator[Member]:
    allowed_bytes = LARGEST_RATIO * place.stat().st_size + LARGEST_FILE_BYTES
    with _ForgetfulTar(fileobj=cast(IO[bytes], file)) as archive:
        while (entry := archive.next()) is not None:
            path = _inside(entry.name, place)
            if not (entry.isreg() or entry.isdir()) or entry.issparse():
                raise _not_plain(path, place)
            is_wanted = entry.isreg() and not is_hidden(path) and wanted(path)
            if is_wanted and entry.size > LARGEST_FILE_BYTES:
                raise _too_long(path, entry.size, place)
            _check_unpacked(entry.offset_data + entry.size, allowed_bytes, place)
            if not is_wanted:
                continue
            held = archive.extractfile(entry)
            data = held.read(entry.size) if held else b""
            if len(data) < entry.size:
                raise EOFError(f"{path.name} has no end")
            yield Member(place, path, entry.size, functools.partial(io.BytesIO, data))
        if file.last != bytes(tarfile.BLOCKSIZE):
            raise EOFError("the mark of its end is missing")
        while file.read(1 << 20):  # to the end, where the checksum of a compressed file is
            _check_unpacked(file.tell(), allowed_bytes, place)


def _inside(name: str, place: Path) -> PurePosixPath:
    """Return the place of a file in an archive; raises `DataError` if it leads outside."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise DataError(f"a file in the archive would lie outside it: {name!r}", where=place)
    return path


def _not_plain(path: PurePosixPath, place: Path) -> DataError:
    return DataError(f"not a plain file: {str(path)!r}", where=place, hint=MEND)


def _too_long(path: PurePosixPath, size: int, place: Path) -> DataError:
    hint = f"At most {LARGEST_FILE_BYTES >> 20} MiB of one file are read here; unpack the archive"
    return DataError(f"{path.name} claims to be {size:,} bytes long", where=place, hint=hint)


def _check_unpacked(unpacked_bytes: int, allowed_bytes: int, place: Path) -> None:
    if unpacked_bytes > allowed_bytes:
        what = "the archive would unpack to far more than its size"
        raise DataError(what, where=place, hint=MEND)


class _Forward:
    """A stream for a tar: it goes forward only, and is never read by more than a file may hold.

    A tar's header can ask for any amount. last: what was read last.
    """

    def __init__(self, file: IO[bytes]):
        self._file, self._place, self.last = file, 0, b""

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_FILE_BYTES:
            raise tarfile.ReadError("a header claims to be larger than any header is")
        self.last = self._file.read(size)
        self._place += len(self.last)
        return self.last

    def seek(self, place: int) -> int:
        if place < self._place:
            raise tarfile.ReadError("its files are out of order")
        while self._place < place and self.read(min(1 << 20, place - self._place)):
            pass
        return self._place


class _ForgetfulTar(tarfile.TarFile):
    """A tar that does not remember the files that it passed."""

    members: list[tarfile.TarInfo]

    def next(self) -> tarfile.TarInfo | None:
        member = super().next()
        self.members.clear()
        return member


@contextmanager
def _clear_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except (
        gzip.BadGzipFile,
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        what = f"the archive is damaged or cut short: {error}"
        raise DataError(what, where=place, hint=MEND) from None
    except OSError as error:  # also where a damaged zip names a place before its beginning
        what = f"the archive cannot be read: {error.strerror or error}"
        raise DataError(what, where=place, hint=MEND) from None
