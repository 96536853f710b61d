"""Cursors: where a search goes on, as a short text that fits into the address of a page.

Posts arrive and are hidden while somebody turns pages, so that a cursor never counts places. That
of Best lists what was shown, by a hash of its words, and the next page is the best of the rest.
That of Latest is a place in time, and the next page begins right behind it. A cursor belongs to one
search; one of another search, or that was changed on the way, is refused.

Pure. What a page holds is decided in `search.py`.
"""

import base64
import binascii
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from rookery.core.errors import UsageError

MOST_SHOWN = 1_000
"""Posts that a cursor of Best lists at most: 50 pages of 20, about 8 kB of an address."""

_SAME_BYTES = 6  # of the hash: two of a thousand posts share one with probability 2 in a billion
_SUM = struct.Struct(">I")
_PLACE = struct.Struct(">QQ")
_BEST, _RELAXED, _LATEST = b"b", b"r", b"l"


@dataclass(frozen=True)
class Shown:
    """What earlier pages of Best showed.

    same: the beginning of the hash of each post's words, in the order shown (`shortened`). relaxed:
    whether the search takes posts that have only some of the words.
    """

    same: tuple[bytes, ...]
    relaxed: bool = False


@dataclass(frozen=True)
class Place:
    """A place in Latest.

    moment: of the last post that was shown (`Candidate.moment`), None before the first one.
    future_from: posts from this moment on come last, on every page of one search.
    """

    moment: int | None
    future_from: int


Cursor = Shown | Place


def shortened(same: str) -> bytes:
    """Return the part of a hash of words (hexadecimal) that a cursor holds."""
    return bytes.fromhex(same)[:_SAME_BYTES]


def encode(cursor: Cursor, text: str) -> str:
    """Return the cursor of a search for `text` as base64url without padding.

    >>> decode(encode(Shown((b"sixsix",)), "rooks"), "rooks")
    Shown(same=(b'sixsix',), relaxed=False)
    """
    if isinstance(cursor, Shown):
        body = (_RELAXED if cursor.relaxed else _BEST) + b"".join(cursor.same)
    else:
        if cursor.moment is None:
            raise ValueError("the first page has no cursor")
        body = _LATEST + _PLACE.pack(cursor.moment, cursor.future_from)
    checked = _SUM.pack(_checksum(body, text)) + body
    return base64.urlsafe_b64encode(checked).decode().rstrip("=")


def decode(cursor: str, text: str) -> Cursor:
    """Return what a cursor says; raise `UsageError` if it is not one of a search for `text`."""
    try:
        checked = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        (expected,), body = _SUM.unpack_from(checked), checked[_SUM.size :]
        if _checksum(body, text) != expected:
            raise ValueError(cursor)
        return _decoded(body[:1], body[1:])
    except (binascii.Error, struct.error, ValueError, OverflowError):
        raise UsageError(
            "this cursor is not one of this search",
            hint="Leave it out to begin at the first page",
        ) from None


def _decoded(kind: bytes, rest: bytes) -> Cursor:
    if kind == _LATEST:
        return Place(*_PLACE.unpack(rest))
    if kind not in (_BEST, _RELAXED) or len(rest) % _SAME_BYTES:
        raise ValueError(kind)
    return Shown(_pieces(rest), relaxed=kind == _RELAXED)


def _pieces(data: bytes) -> tuple[bytes, ...]:
    return tuple(data[n : n + _SAME_BYTES] for n in range(0, len(data), _SAME_BYTES))


def _checksum(body: bytes, text: str) -> int:
    """Return a sum that tells accidents, and no forgeries: a cursor opens nothing."""
    return zlib.crc32(body, zlib.crc32(" ".join(text.split()).encode("utf-8", "replace")))


def after_page(cursor: Cursor | None, same: Sequence[str], relaxed: bool) -> Shown | None:
    """Return the cursor of Best behind a page, or None where it would list too much."""
    before = cursor.same if isinstance(cursor, Shown) else ()
    shown = (*before, *map(shortened, same))
    return Shown(shown, relaxed) if len(shown) <= MOST_SHOWN else None
