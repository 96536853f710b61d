"""A writer of AT-proto repositories by their specification (atproto.com/specs/repository).

DAG-CBOR is written here by hand, so that the reader is not tested against its own library.
"""

import hashlib

DID = "did:plc:ada"


class Link(bytes):
    """A CID, which DAG-CBOR tells from other bytes."""


def cbor(value) -> bytes:
    match value:
        case None:
            return b"\xf6"
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case Link():
            return b"\xd8\x2a" + _head(2, len(value) + 1) + b"\0" + value
        case bytes():
            return _head(2, len(value)) + value
        case str():
            return _head(3, len(value.encode())) + value.encode()
        case list():
            return _head(4, len(value)) + b"".join(map(cbor, value))
        case dict():
            keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
            return _head(5, len(keys)) + b"".join(cbor(key) + cbor(value[key]) for key in keys)
    raise TypeError(value)


def _head(kind: int, size: int) -> bytes:
    if size < 24:
        return bytes([kind << 5 | size])
    for code, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if size < 1 << 8 * width:
            return bytes([kind << 5 | code]) + size.to_bytes(width, "big")
    raise ValueError(size)


class Repository:
    """A repository: its blocks by CID, in the order in which they are added."""

    def __init__(self) -> None:
        self.blocks: dict[bytes, bytes] = {}

    def add(self, value) -> Link:
        """Add a value and return its CID; a link is returned as it is, and nothing is added."""
        return value if isinstance(value, Link) else self.add_block(cbor(value))

    def add_block(self, block: bytes, kind: bytes = b"\x01\x71\x12\x20") -> Link:
        """Add bytes as a block. kind: the CID before the hash; by default of DAG-CBOR."""
        cid = Link(kind + hashlib.sha256(block).digest())
        self.blocks[cid] = block
        return cid

    def tree(self, records: dict[str, dict | Link]) -> Link:
        """Add a Merkle search tree of records, and return its root.

        The layer of a key is half the number of leading zero bits of its hash.
        """
        entries = [
            (key.encode(), _layer(key.encode()), self.add(record))
            for key, record in sorted(records.items())
        ]
        top = max((layer for _, layer, _ in entries), default=0)
        return self._node(entries, top)

    def _node(self, entries, layer) -> Link:
        left, groups = [], []
        for entry in entries:
            if entry[1] == layer:
                groups.append((entry, []))
            else:
                (groups[-1][1] if groups else left).append(entry)
        node, before = {"l": self._node(left, layer - 1) if left else None, "e": []}, b""
        for (key, _, cid), right in groups:
            same = next(
                (n for n, (a, b) in enumerate(zip(key, before, strict=False)) if a != b),
                min(len(key), len(before)),
            )
            tree = self._node(right, layer - 1) if right else None
            node["e"].append({"p": same, "k": key[same:], "v": cid, "t": tree})
            before = key
        return self.add(node)

    def commit(self, records: dict[str, dict | Link], rev: str, **change) -> Link:
        content = {
            "did": DID,
            "version": 3,
            "data": self.tree(records),
            "rev": rev,
            "prev": None,
            "sig": b"\0" * 64,
        }
        return self.add(content | change)


def _layer(key: bytes) -> int:
    bits = f"{int.from_bytes(hashlib.sha256(key).digest(), 'big'):0256b}"
    return (len(bits) - len(bits.lstrip("0"))) // 2


def car(root: Link, blocks: dict[bytes, bytes]) -> bytes:
    header = cbor({"version": 1, "roots": [root]})
    return b"".join(
        _sized(part) for part in (header, *(cid + block for cid, block in blocks.items()))
    )


def _sized(part: bytes) -> bytes:
    size, length = len(part), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return length + bytes([size]) + part
