"""Reading the file of any source: opened, decompressed, and decoded as JSON.

Damage of the file (cut short, another encoding, a broken frame) is a `DataError` and nothing is
taken; damage of one line sets that line aside. What a line means is decided in the module of its
format; which format a file is in, in `formats.py`; what an archive holds is listed in
`archives.py`.
"""

import bz2
import codecs
import gzip
import io
import itertools
import json
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol, cast

import pyarrow as pa
import zstandard

from rookery.core.errors import DataError, UsageError
from rookery.posts.event import Event
from rookery.posts.post import Post, to_batch
from rookery.posts.sources.zipped import opened_member

BATCH_POSTS = 20_000
LARGEST_DOCUMENT_BYTES = 1 << 29
"""The largest JSON document: it is held in memory as a whole, and a larger one is refused."""
LARGEST_LINE_BYTES = 1 << 27
"""The longest line of a JSON lines file; a longer one is set aside without its text."""
LARGEST_WINDOW_BYTES = 1 << 31
"""The largest window of zstd. Dumps of whole sites are written with `zstd --long=31`, and can only
be read with a window of that size.
"""

LARGEST_RATIO = 1000
"""A compressed file may unpack to this many times its size plus `LARGEST_DOCUMENT_BYTES`: gzip can
do no more, and bzip2, xz and zstd can do it a million times over only for one byte repeated.
"""
COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz")
"""The last part of a compressed file's name."""

_LINES_SEARCHED = 100
_PACKED_STEP_BYTES = 4096  # a zstd frame can grow some 30,000-fold, so that a step stays < 128 MiB
_READY_BYTES = 1 << 20
_XZ_MEMORY_BYTES = 1 << 30  # `xz -9` asks for 65 MiB; a header can ask for any amount
_MAGIC = (  # RFC 1952; RFC 8878, whose skippable frames may come first; bzip2 and xz
    (".gz", re.compile(rb"\x1f\x8b")),
    (".zst", re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")),
    (".bz2", re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")),
    (".xz", re.compile(rb"\xfd7zXZ\x00")),
)
_DECODE = json.JSONDecoder().decode
_TO_UTF8 = "Convert it to UTF-8, for example with iconv"


@dataclass(frozen=True)
class Member:
    """A file inside an archive or a folder, which is read where it lies and never unpacked to disk.

    path: its place inside. `open_bytes` may be called as long as the archive is open.
    """

    archive: Path
    path: PurePosixPath
    size_bytes: int
    open_bytes: Callable[[], IO[bytes]]

    @property
    def name(self) -> str:
        """Return the last part of its path."""
        return self.path.name

    @property
    def suffix(self) -> str:
        """Return the last suffix of its name."""
        return self.path.suffix

    @property
    def suffixes(self) -> list[str]:
        """Return all suffixes of its name."""
        return self.path.suffixes

    def __str__(self) -> str:
        return f"{self.archive}: {self.path}"


File = Path | Member
"""A file on disk or inside an archive."""

OpenFile = io.BufferedReader | gzip.GzipFile
"""An open file, whose bytes come decompressed."""


@dataclass(frozen=True)
class SetAside:
    """A row that was not taken: its position in the file, the reason, and its content.

    row: what was read; no file keeps it (`posts/set_aside.py`). id, author: of the post, as the
    live log spells them, "" where they are unknown. wrong: the value that cannot be read, such as a
    time.
    """

    where: str
    reason: str
    row: Any = None
    id: str = ""
    author: str = ""
    wrong: str = ""


def first_json(path: File) -> Any:
    """Return the first JSON object or list of a file, from one line or the whole document.

    None where there is none. Raises `DataError` if the file cannot be read.
    """
    with clear_errors(path), opened(path) as file:
        all_lines = iter(lambda: file.readline(LARGEST_DOCUMENT_BYTES), b"")
        lines = (line for line in all_lines if line.strip())
        first = next(lines, b"")
        if isinstance(value := parse_json(first), dict | list):
            return value
        if ".json" in (suffix.lower() for suffix in path.suffixes):
            return parse_json(first + file.read(LARGEST_DOCUMENT_BYTES))
        values = (parse_json(line) for line in itertools.islice(lines, _LINES_SEARCHED))
        return next((value for value in values if isinstance(value, dict | list)), None)


def json_lines(path: File) -> Iterator[tuple[str, Any]]:
    """Yield the position and the value of each line of a file that is not blank.

    The value is an object, or a `SetAside` for a line that is not one.
    """
    with clear_errors(path), opened(path) as file:
        for number, line in enumerate(_lines(file), 1):
            if not line.strip():
                continue
            where, value = f"line {number}", parse_json(line)
            if len(line) > LARGEST_LINE_BYTES:
                value = SetAside(where, "line_too_long", None)
            elif not isinstance(value, dict):
                reason = "not_a_json_object" if _is_utf8(line) else "not_utf8"
                value = SetAside(where, reason, line.decode(errors="replace").rstrip("\n"))
            yield where, value


def _lines(file: io.BufferedIOBase) -> Iterator[bytes]:
    """Yield the lines of a file; of one too long, its first bytes, one more than are allowed."""
    while line := file.readline(LARGEST_LINE_BYTES + 1):
        yield line
        while len(line) > LARGEST_LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(LARGEST_LINE_BYTES + 1)


def parse_json(text: bytes) -> Any:
    """Return the JSON value that UTF-8 text holds; None for text that is not JSON."""
    try:
        # `utf-8-sig` and `json.loads` would take a fifth more time for a line
        return _DECODE(text.removeprefix(codecs.BOM_UTF8).decode())
    except (ValueError, RecursionError):
        return None


Read = Iterator[tuple[pa.RecordBatch, list[SetAside | Event]]]
"""Posts in batches of `POST_SCHEMA`, each with what came between them: rows set aside, and events
for the live log.
"""


def in_batches(found: Iterable[Post | SetAside | Event]) -> Read:
    """Yield posts, and what came between them, in batches of `POST_SCHEMA`; always at least one."""
    posts: list[Post] = []
    beside: list[SetAside | Event] = []
    for item in found:
        posts.append(item) if isinstance(item, Post) else beside.append(item)
        if len(posts) + len(beside) == BATCH_POSTS:
            yield to_batch(posts), beside
            posts, beside = [], []
    yield to_batch(posts), beside


@contextmanager
def opened(path: File) -> Iterator[OpenFile]:
    """Open a file for its bytes, decompressing gzip, zstd, bzip2, xz and a zip of one table.

    Raises `DataError` for UTF-16, which would otherwise be reported as damaged JSON.
    """
    if isinstance(path, Path) and path.suffix.lower() == ".zip":
        with opened_member(path) as member:
            yield member
        return
    compression = _compression(path)
    with _bytes_of(path) as packed:
        if compression == ".gz":
            with gzip.GzipFile(fileobj=packed) as unpacked:
                yield unpacked
        elif compression:
            unpacking = cast(io.FileIO, _Unpacked(packed, _FRAMES[compression]))
            with io.BufferedReader(unpacking, 1 << 16) as reader:
                yield cast(io.BufferedReader, reader)
        elif isinstance(path, Member):
            yield io.BufferedReader(cast(io.RawIOBase, packed), 1 << 16)
        else:
            yield cast(io.BufferedReader, packed)


def _bytes_of(path: File) -> IO[bytes]:
    """Open a file for reading its bytes as they are."""
    return path.open_bytes() if isinstance(path, Member) else open(path, "rb")


def _size_bytes(path: File) -> int:
    return path.size_bytes if isinstance(path, Member) else path.stat().st_size


def _compression(path: File) -> str:
    """Return one of `COMPRESSIONS`, by the file's name or else by its first bytes, or nothing."""
    if (suffix := path.suffix.lower()) in COMPRESSIONS:
        return suffix
    with _bytes_of(path) as file:
        head = file.read(10)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError("not UTF-8 but UTF-16", where=path, hint=_TO_UTF8)
    return next((suffix for suffix, magic in _MAGIC if magic.match(head)), "")


class _Frame(Protocol):
    """A part of a compressed file that is complete in itself."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


class _ZstdFrame:
    """A frame of zstd, with the interface of the decompressors of the standard library."""

    needs_input = True

    def __init__(self) -> None:
        unpacker = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW_BYTES)
        self._frame = unpacker.decompressobj()

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data

    def decompress(self, data: bytes, _most: int = -1, /) -> bytes:
        return self._frame.decompress(data)


def _xz_frame() -> _Frame:
    return lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)


_FRAMES: dict[str, Callable[[], _Frame]] = {
    ".zst": _ZstdFrame,
    ".bz2": bz2.BZ2Decompressor,
    ".xz": _xz_frame,
}


class _Unpacked(io.RawIOBase):
    """The bytes of compressed frames, one after the other.

    Unlike the readers of the libraries, it notices when the end of a frame is missing, and when a
    few bytes unpack to far too many; it raises `EOFError` for both, and for any other damage.
    """

    def __init__(self, file: IO[bytes], new_frame: Callable[[], _Frame]):
        self._file, self._new_frame = file, new_frame
        self._frame: _Frame | None = None
        self._packed = b""
        self._ready = memoryview(b"")
        self._read_bytes, self._unpacked_bytes = 0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and self._step():
            pass
        n = min(len(buffer), len(self._ready))
        buffer[:n], self._ready = self._ready[:n], self._ready[n:]
        return n

    def _step(self) -> bool:
        """Decompress a little more; return False at the end of the file."""
        if not self._packed and (self._frame is None or self._frame.needs_input):
            self._packed = self._file.read(_PACKED_STEP_BYTES)
            self._read_bytes += len(self._packed)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("its last frame has no end")
                return False
        if self._frame is None:
            self._packed = self._packed.lstrip(b"\0")  # xz may be padded
            if not self._packed:
                return True
            self._frame = self._new_frame()
        self._ready = memoryview(self._decompressed(self._frame))
        self._unpacked_bytes += len(self._ready)
        if self._unpacked_bytes > LARGEST_RATIO * self._read_bytes + LARGEST_DOCUMENT_BYTES:
            raise EOFError(f"it unpacks to more than {LARGEST_RATIO} times its size")
        return True

    def _decompressed(self, frame: _Frame) -> bytes:
        """Return a little more of a frame, and leave it if this was its end."""
        try:
            data = frame.decompress(self._packed, _READY_BYTES)
        except (zstandard.ZstdError, lzma.LZMAError, OSError) as error:
            raise EOFError(str(error)) from None
        self._packed = b""
        if frame.eof:
            self._packed, self._frame = frame.unused_data, None
        return data


@contextmanager
def clear_errors(path: File) -> Iterator[None]:
    """Turn the exceptions of readers on a broken file into errors of one clear line."""
    try:
        if isinstance(path, Path) and not path.exists():
            raise UsageError("there is no such file", where=path)
        if _size_bytes(path) == 0:
            raise DataError("the file is empty", where=path, hint="Export or download it again")
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"the compressed file is damaged or cut short: {error}", where=path
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8: {error.reason}", where=path, hint=_TO_UTF8) from None
    except pa.ArrowException as error:
        what = str(error).splitlines()[0]
        raise DataError(
            f"cannot be read: {what}", where=path, hint=_TO_UTF8 if "UTF8" in what else None
        ) from None
    except OSError as error:  # those of the Parquet reader, for a broken page, have no errno
        raise DataError(f"cannot be read: {error.strerror or error}", where=path) from None


def well_formed(text: str) -> str:
    """Return text that UTF-8 can hold: lone surrogates, which JSON can escape, become U+FFFD."""
    try:
        text.encode()  # nearly every text is well-formed, and this is the quickest check
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def as_text(value: Any) -> str:
    """Return a JSON value as well-formed text; the empty text for null."""
    return "" if value is None else well_formed(str(value))


def as_count(value: Any) -> int | None:
    """Return a whole number, also from text; None for anything else and for negative numbers."""
    return int(value) if re.fullmatch("[0-9]{1,18}", as_text(value)) else None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
