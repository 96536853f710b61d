"""MinHash signatures of texts, and hashes of texts, by Daft's native functions.

Daft compares runs of words; here every character is made a word, since a post is too short for
runs of words. Both functions work on a column without a query engine, so nothing is started and
nothing is printed. A signature is stored in two forms: its bands, in which similar texts are equal
somewhere, and a sketch of it, from which the similarity of two texts is estimated. Not here: how
duplicates are found with them (`dedup.py`).
"""

import os
from types import ModuleType

import numpy as np
import pyarrow as pa

SHINGLE_CHARACTERS = 5
HASHES = 48
BAND_ROWS = 4  # 12 bands of 4: a pair of similarity 0.8 is missed by all with probability 0.002
BANDS = HASHES // BAND_ROWS


def signatures(texts: pa.Array) -> np.ndarray:
    """Return the least hashes over the runs of five characters, as uint32 (texts, 48).

    The share of equal places in two rows estimates the Jaccard similarity of two texts' runs.
    """
    column = load_daft().Series.from_arrow(_spaced(texts))
    hashes = column.minhash(
        HASHES, SHINGLE_CHARACTERS, seed=1, hash_function="xxhash3_64"
    ).to_arrow()
    return hashes.flatten().to_numpy().reshape(len(texts), HASHES)


def _spaced(texts: pa.Array) -> pa.Array:
    """Return each text with a space before every character, and its own spaces as underscores."""
    texts = pa.concat_arrays([texts.cast(pa.large_string())])  # a copy, whose offsets begin at 0
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[: len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[: offsets[-1]]
    # The number of characters begun up to each byte: in UTF-8 only 0b10xxxxxx begins none.
    begun = np.cumsum((data & 0xC0) != 0x80)
    spaced = np.full(len(data) + (begun[-1] if len(data) else 0), ord(" "), np.uint8)
    spaced[np.arange(len(data)) + begun] = np.where(data == ord(" "), ord("_"), data)
    moved = offsets + np.concatenate([[0], begun])[offsets]
    return pa.Array.from_buffers(
        pa.large_string(), len(texts), [None, pa.py_buffer(moved), pa.py_buffer(spaced)]
    )


def bands(hashes: np.ndarray) -> np.ndarray:
    """Return uint64 (bands, texts), equal where two texts agree on all four hashes of a band."""
    packed = (
        np.ascontiguousarray(hashes).view(np.uint64).reshape(len(hashes), BANDS, BAND_ROWS // 2)
    )
    return np.ascontiguousarray(
        (packed[:, :, 0] * np.uint64(0x9E3779B97F4A7C15) ^ packed[:, :, 1]).T
    )


def sketches(hashes: np.ndarray) -> np.ndarray:
    """Return the lowest byte of each hash, as uint8 (texts, 48).

    Two hashes that differ have the same lowest byte once in 256.
    """
    return hashes.astype(np.uint8)


def text_hashes(texts: pa.Array) -> np.ndarray:
    """Return 64-bit hashes of texts (xxHash3), as uint64 (texts,).

    Two of 12 million different texts share one with probability 4e-6 (birthday bound n²/2⁶⁵).
    """
    if not len(texts):
        return np.empty(0, np.uint64)
    return load_daft().Series.from_arrow(texts).hash().to_arrow().to_numpy()


def load_daft() -> ModuleType:
    """Return the module `daft`, imported with its telemetry off.

    Daft reports each import and run to its makers unless this variable is set before; it offers no
    other switch.
    """
    os.environ["DAFT_ANALYTICS_ENABLED"] = "0"
    import daft

    return daft
