"""Features: what is known of showing an ad beside a text, as numbers for a click predictor.

A feature is a short text such as `ad:harbour-tea`. Its CRC-32 is the beginning of its bucket's
number, and only this number is stored: the ledger must not hold the words of a query. All arrays
have the shape that `ClickPredictor` (core/protocols.py) asks for. No Python runs for each feature:
the CRC of `ad:x|word:y` is put together from those of its two parts. How a predictor uses the
buckets is in `ftrl.py`.
"""

import functools
import zlib
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from rookery.core.protocols import FEATURE_BUCKETS, NO_FEATURE

MOST_WORDS = 12  # of a text; further words add noise and time
_LEVELS = np.arange(-2, 7)  # of similarity
_LEVEL_TEXTS = [f"|similar:{level}" for level in _LEVELS]
_CRC_BITS = 32
_BUCKET_SHIFT = _CRC_BITS - (FEATURE_BUCKETS.bit_length() - 1)


def ad_codes(ids: Sequence[str]) -> np.ndarray:
    """Return the code of each ad by which `view_buckets` knows it; uint32 (ads,)."""
    return _codes([f"ad:{name}" for name in ids])


def view_buckets(
    ads: np.ndarray,
    similarity: np.ndarray,
    words: Sequence[str],
    language: str | None,
    keywords: Sequence[str] = (),
    matched: np.ndarray | None = None,
    moved: Callable[[int], np.ndarray] | None = None,
) -> np.ndarray:
    """Return the features of showing each of some ads beside one text; int64 (ads, features).

    They are the ad alone, and the ad with each thing around it. ads: codes of `ad_codes`.
    similarity: (ads,). keywords: those of any of the ads that are in the text; matched: bool (ads,
    keywords), which ad has which. moved: the codes moved on by a length, from whoever keeps them.
    """
    moved = functools.partial(moved_codes, ads) if moved is None else moved
    levels = np.clip(np.round(similarity), _LEVELS[0], _LEVELS[-1]).astype(np.int64) - _LEVELS[0]
    words = list(dict.fromkeys(words[:MOST_WORDS]))
    parts = [
        np.full((len(ads), 1), _ALL_CODE),
        _LEVEL_CODES[levels, None],
        ads[:, None],
        _joined(moved, _LEVEL_TEXTS, len(ads))[np.arange(len(ads)), levels, None],
        _joined(moved, [f"|language:{language}", *(f"|word:{word}" for word in words)], len(ads)),
    ]
    of_keywords = _buckets(_joined(moved, [f"|keyword:{word}" for word in keywords], len(ads)))
    if matched is not None:
        of_keywords = np.where(matched, of_keywords, NO_FEATURE)
    return np.concatenate([_buckets(np.concatenate(parts, axis=1)), of_keywords], axis=1)


def field_buckets(field: str, values: pa.Array) -> np.ndarray:
    """Return the bucket of the feature `field=value` for each text of a column; int64 (rows,).

    A row that is null has the feature `field=`, which tells that the value is missing.
    """
    return _buckets(_column_codes(zlib.crc32(f"{field}=".encode()), values))


def padded(rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Return rows of buckets as one array, filled up with `NO_FEATURE`; int64 (rows, longest)."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    found = np.full((len(rows), lengths.max(initial=0)), NO_FEATURE, dtype=np.int64)
    found[np.arange(found.shape[1]) < lengths[:, None]] = [b for row in rows for b in row]
    return found


def _buckets(codes: np.ndarray) -> np.ndarray:
    return (codes >> np.uint32(_BUCKET_SHIFT)).astype(np.int64)


def _codes(texts: Sequence[str]) -> np.ndarray:
    return np.array([zlib.crc32(text.encode()) for text in texts], dtype=np.uint32)


def moved_codes(codes: np.ndarray, length: int) -> np.ndarray:
    """Return the CRCs of texts, known by their CRCs, moved on by a number of bytes; uint32."""
    table, moved = _moving_table(length), np.zeros(len(codes), dtype=np.uint32)
    for byte in range(4):
        moved ^= table[byte, (codes >> np.uint32(8 * byte)) & np.uint32(255)]
    return moved


def _joined(moved: Callable[[int], np.ndarray], seconds: Sequence[str], count: int) -> np.ndarray:
    """Return the CRC of each first text followed by each second text; uint32 (count, seconds).

    moved: the CRCs of the first texts moved on by a length. The CRC of two texts together is that
    of the first, moved on by the length of the second, exclusive or that of the second
    (`crc32_combine` of zlib).
    """
    texts = [second.encode() for second in seconds]
    lengths = sorted({len(text) for text in texts})
    if not lengths:
        return np.empty((count, 0), dtype=np.uint32)
    by_length = np.stack([moved(length) for length in lengths])
    places = [lengths.index(len(text)) for text in texts]
    codes = np.array([zlib.crc32(text) for text in texts], dtype=np.uint32)
    return (by_length[places] ^ codes[:, None]).T


@functools.lru_cache(maxsize=256)
def _moving_table(length: int) -> np.ndarray:
    """Return what each byte of a CRC becomes when `length` bytes follow; uint32 (4, 256)."""
    zeros = bytes(length)
    own = zlib.crc32(zeros)
    return np.array(
        [[zlib.crc32(zeros, value << 8 * byte) ^ own for value in range(256)] for byte in range(4)],
        dtype=np.uint32,
    )


def _column_codes(start: int, values: pa.Array) -> np.ndarray:
    """Return the CRC of one text followed by each text of a column, byte by byte for all rows."""
    texts = values.cast(pa.large_string()).fill_null("")
    data = np.frombuffer(texts.buffers()[2] or b"", dtype=np.uint8)
    places = np.frombuffer(texts.buffers()[1] or bytes(8), dtype=np.int64)
    places = places[texts.offset : texts.offset + len(texts) + 1]
    lengths = np.diff(places)
    order = np.argsort(-lengths, kind="stable")  # so that rows which still have bytes come first
    begins, crc = places[:-1][order], np.full(len(texts), start ^ 0xFFFFFFFF, dtype=np.uint32)
    longest = lengths.max(initial=0)
    going = len(texts) - np.searchsorted(np.sort(lengths), np.arange(longest), side="right")
    for byte, rows in enumerate(going.tolist()):
        told = (crc[:rows] ^ data[begins[:rows] + byte]) & np.uint32(255)
        crc[:rows] = _CRC_TABLE[told] ^ (crc[:rows] >> np.uint32(8))
    codes = np.empty_like(crc)
    codes[order] = crc ^ np.uint32(0xFFFFFFFF)
    return codes


# What the register of a CRC becomes by one byte: that of the byte alone, without the two negations.
_CRC_TABLE = np.array(
    [zlib.crc32(bytes([value])) ^ zlib.crc32(bytes(1)) for value in range(256)], dtype=np.uint32
)
_ALL_CODE = np.uint32(zlib.crc32(b"all"))
_LEVEL_CODES = _codes([f"similar:{level}" for level in _LEVELS])
