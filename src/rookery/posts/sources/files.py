"""How a source's file is read, whatever its format: opened, looked through its compression, taken
as JSON.

Damage of the file (cut short, another encoding, a broken frame) is a `DataError` and nothing is
taken; damage of one line sets that line aside. What a line means is for the format's own module to
say; which format it is, for `formats.py`.
"""

import codecs
import gzip
import io
import itertools
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import zstandard

from rookery.core.errors import DataError, UsageError
from rookery.posts.event import Event
from rookery.posts.post import Post, to_batch

BATCH_POSTS = 20_000
LARGEST_DOCUMENT_BYTES = 1 << 29
"""A single JSON value must be held in memory; a larger one is refused."""
LARGEST_LINE_BYTES = 1 << 27
"""A longer line of a JSON lines file is set aside without its words."""
LARGEST_WINDOW_BYTES = 1 << 31
"""Dumps of whole sites are written with `zstd --long=31`, and can only be read with a window of
that size.
"""

_LINES_LOOKED_AT = 100
_ZSTD_STEP_BYTES = 4096  # a frame can grow some 30,000-fold, so that a step stays below 128 MiB
_GZIP, _ZSTD = (
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
)  # RFC 1952 and 8878; a skippable frame may come first
_ZSTD_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_TO_UTF8 = "Convert it to UTF-8, for example with iconv"


@dataclass(frozen=True)
class SetAside:
    """A row that was not taken: where it stands, why, and what it says."""

    where: str
    reason: str
    row: Any


def first_json(path: Path) -> Any:
    """The first JSON object or list of a file, a line or the whole document; None where there is
    none.

    Raises `DataError` if the file cannot be read.
    """
    with clear_errors(path), opened(path) as file:
        lines = (
            line
            for line in iter(lambda: file.readline(LARGEST_DOCUMENT_BYTES), b"")
            if line.strip()
        )
        first = next(lines, b"")
        if isinstance(value := parse_json(first), dict | list):
            return value
        if ".json" in (suffix.lower() for suffix in path.suffixes):
            return parse_json(first + file.read(LARGEST_DOCUMENT_BYTES))
        values = (parse_json(line) for line in itertools.islice(lines, _LINES_LOOKED_AT))
        return next((value for value in values if isinstance(value, dict | list)), None)


def json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Each line of a file that is not blank, where it stands and its value: an object, or a
    `SetAside`.
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


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file; of one that is too long the beginning, one byte longer than a line may
    be.
    """
    while line := file.readline(LARGEST_LINE_BYTES + 1):
        yield line
        while len(line) > LARGEST_LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(LARGEST_LINE_BYTES + 1)


def parse_json(text: bytes) -> Any:
    """The value that UTF-8 text spells, None for what is no JSON."""
    try:
        return json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None


Read = Iterator[tuple[pa.RecordBatch, list[SetAside | Event]]]
"""Posts in batches of `POST_SCHEMA`, each with what stood beside them: rows not taken, and events
for the live log.
"""


def in_batches(found: Iterable[Post | SetAside | Event]) -> Read:
    """Posts, and what stood between them, in batches of `POST_SCHEMA`; there is always one."""
    posts: list[Post] = []
    beside: list[SetAside | Event] = []
    for item in found:
        posts.append(item) if isinstance(item, Post) else beside.append(item)
        if len(posts) + len(beside) == BATCH_POSTS:
            yield to_batch(posts), beside
            posts, beside = [], []
    yield to_batch(posts), beside


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file's bytes, gzip and zstd looked through; raises `DataError` for UTF-16, which would pass
    for no JSON.
    """
    match _compression(path):
        case ".gz":
            with gzip.open(path) as file:
                yield file
        case ".zst":
            with open(path, "rb") as file, io.BufferedReader(_Unzstd(file), 1 << 16) as reader:
                yield reader
        case _:
            with open(path, "rb") as file:
                yield file


def _compression(path: Path) -> str:
    """`.gz` or `.zst` where the file's name ends so, or it begins so under another name."""
    if (suffix := path.suffix.lower()) in (".gz", ".zst"):
        return suffix
    with open(path, "rb") as file:
        head = file.read(4)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError("not UTF-8 but UTF-16", where=path, hint=_TO_UTF8)
    return (
        ".gz"
        if head.startswith(_GZIP)
        else ".zst"
        if head == _ZSTD or _ZSTD_SKIPPABLE.fullmatch(head)
        else ""
    )


class _Unzstd(io.RawIOBase):
    """The bytes of zstd frames, one after the other; unlike zstandard's own reader it notices a
    missing end.
    """

    def __init__(self, file: IO[bytes]):
        self._file = file
        self._frame = None
        self._packed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while not self._ready and self._step():
            pass
        n = min(len(buffer), len(self._ready))
        buffer[:n], self._ready = self._ready[:n], self._ready[n:]
        return n

    def _step(self) -> bool:
        """Unpack a little more; False at the end. Raises `ZstdError` if that is no end of a
        frame.
        """
        self._packed = self._packed or self._file.read(_ZSTD_STEP_BYTES)
        if not self._packed:
            if self._frame is not None:
                raise zstandard.ZstdError("its last frame has no end")
            return False
        if self._frame is None:
            self._frame = zstandard.ZstdDecompressor(
                max_window_size=LARGEST_WINDOW_BYTES
            ).decompressobj()
        self._ready = memoryview(self._frame.decompress(self._packed))
        self._packed = self._frame.unused_data
        if self._frame.eof:
            self._frame = None
        return True


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn what readers raise on a broken file into one clear line."""
    try:
        if not path.exists():
            raise UsageError("there is no such file", where=path)
        if path.stat().st_size == 0:
            raise DataError("the file is empty", where=path, hint="Export or download it again")
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error, zstandard.ZstdError) as error:
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
    except OSError as error:  # the Parquet reader's, of a broken page, have no number
        raise DataError(f"cannot be read: {error.strerror or error}", where=path) from None


def well_formed(text: str) -> str:
    """Text that UTF-8 can hold: halves of characters, which JSON escapes can spell, become
    U+FFFD.
    """
    return (
        text
        if text.isascii()
        else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )


def as_text(value: Any) -> str:
    """A JSON value as well-formed text; nothing is the empty text."""
    return "" if value is None else well_formed(str(value))


def as_count(value: Any) -> int | None:
    """A whole number, also spelt as text; None for what is none, and for less than nothing."""
    return int(value) if re.fullmatch("[0-9]{1,18}", as_text(value)) else None


def _is_utf8(line: bytes) -> bool:
    try:
        return bool(line.decode()) or True
    except UnicodeDecodeError:
        return False
