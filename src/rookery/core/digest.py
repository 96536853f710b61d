"""Digests: short names for content, so that equal content has equal names.

Values are digested through canonical JSON (sorted keys, no spaces), files through their bytes.
Not for secrets: nothing here is keyed or salted.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

DIGEST_BYTES = 16


def digest_bytes(data: bytes) -> str:
    """Return the digest of some bytes, as 32 hexadecimal characters."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).hexdigest()


def digest_value(value: Any) -> str:
    """Return the digest of a plain value (dict, list, str, number, bool, None), whatever the key
    order.
    """
    return digest_bytes(canonical_json(value).encode())


def digest_file(path: Path) -> str:
    """Return the digest of a file's bytes; the file is read in pieces of one mebibyte."""
    state = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            state.update(piece)
    return state.hexdigest()


def canonical_json(value: Any) -> str:
    """Return the one JSON text that equal values share."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hash_ids(ids: Iterable[str]) -> np.ndarray:
    """Return 64-bit hashes of ids, uint64 of shape (n,), in the order given.

    Two of a billion different ids share a hash with probability 0.03 (birthday bound n²/2⁶⁵).
    """
    blake2b = hashlib.blake2b
    joined = b"".join(blake2b(i.encode(), digest_size=8).digest() for i in ids)
    return np.frombuffer(joined, dtype="<u8")
