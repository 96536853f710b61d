"""Reading the file of any source: opened, decompressed, and decoded as JSON.

Damage of the file (cut short, another encoding, a broken frame) is a `DataError` and nothing is
taken; damage of one line sets that line aside. What a line means is decided in the module of its
format; which format a file is in, in `formats.py`.
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
from typing import Any

import pyarrow as pa
import zstandard

from rookery.core.errors import DataError, UsageError
from rookery.posts.event import Event
from rookery.posts.post import Post, to_batch

BATCH_POSTS = 20_000
LARGEST_DOCUMENT_BYTES = 1 << 29
"""The largest JSON document: it is held in memory as a whole, and a larger one is refused."""
LARGEST_LINE_BYTES = 1 << 27
"""The longest line of a JSON lines file; a longer one is set aside without its text."""
LARGEST_WINDOW_BYTES = 1 << 31
"""The largest window of zstd. Dumps of whole sites are written with `zstd --long=31`, and can only
be read with a window of that size.
"""

_LINES_SEARCHED = 100
_ZSTD_STEP_BYTES = 4096  # a frame can grow some 30,000-fold, so that a step stays below 128 MiB
_GZIP = b"\x1f\x8b"  # RFC 1952
_ZSTD = b"\x28\xb5\x2f\xfd"  # RFC 8878; a skippable frame may come first
_ZSTD_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_TO_UTF8 = "Convert it to UTF-8, for example with iconv"


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


def first_json(path: Path) -> Any:
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


def json_lines(path: Path) -> Iterator[tuple[str, Any]]:
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
        return json.loads(text.decode("utf-8-sig"))
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
def opened(path: Path) -> Iterator[OpenFile]:
    """Open a file for reading its bytes, decompressing gzip and zstd.

    Raises `DataError` for UTF-16, which would otherwise be reported as damaged JSON.
    """
    match _compression(path):
        case ".gz":
            with gzip.open(path) as unpacked:
                yield unpacked
        case ".zst":
            with open(path, "rb") as packed:
                reader: io.BufferedReader = io.BufferedReader(_Unzstd(packed), 1 << 16)
                with reader:
                    yield reader
        case _:
            with open(path, "rb") as file:
                yield file


def _compression(path: Path) -> str:
    """Return `.gz` or `.zst`, by the file's name or else by its first bytes; empty for neither."""
    if (suffix := path.suffix.lower()) in (".gz", ".zst"):
        return suffix
    with open(path, "rb") as file:
        head = file.read(4)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError("not UTF-8 but UTF-16", where=path, hint=_TO_UTF8)
    if head.startswith(_GZIP):
        return ".gz"
    return ".zst" if head == _ZSTD or _ZSTD_SKIPPABLE.fullmatch(head) else ""


class _Unzstd(io.RawIOBase):
    """The bytes of zstd frames, one after the other.

    Unlike zstandard's own reader, it notices when the end of a frame is missing.
    """

    def __init__(self, file: io.BufferedIOBase):
        self._file = file
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._packed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and self._step():
            pass
        n = min(len(buffer), len(self._ready))
        buffer[:n], self._ready = self._ready[:n], self._ready[n:]
        return n

    def _step(self) -> bool:
        """Decompress a little more; return False at the end of the file.

        Raises `ZstdError` if the file ends inside a frame.
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
    """Turn the exceptions of readers on a broken file into errors of one clear line."""
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
    except OSError as error:  # those of the Parquet reader, for a broken page, have no errno
        raise DataError(f"cannot be read: {error.strerror or error}", where=path) from None


def well_formed(text: str) -> str:
    """Return text that UTF-8 can hold: lone surrogates, which JSON can escape, become U+FFFD."""
    if text.isascii():
        return text
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
