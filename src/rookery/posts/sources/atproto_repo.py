"""AT-proto repository export: the CAR file of one account, as `com.atproto.sync.getRepo` sends it.

A CAR (version 1) is a list of blocks, each named by its hash; the first root is the commit, which
names the account and the root of a Merkle search tree, whose keys are `collection/rkey`
(atproto.com/specs/repository). Posts come in the order of the tree. The records are read in
`atproto.py`; the profile and declared preferences become events of the author in the live log, at
the time when they were declared, or else of the commit's revision. Records of other collections are
set aside by their addresses alone.

Every block's hash is checked, so that a file that is read is complete and unchanged since its
commit; the signature of the commit is not checked, for that requires the account's public key.
Refused: a file cut short, a block that is missing, altered, too long or named twice in the tree,
keys out of order.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import libipld

from rookery.core.errors import DataError
from rookery.posts.event import Event
from rookery.posts.post import Post
from rookery.posts.sources import atproto
from rookery.posts.sources.files import Read, SetAside, clear_errors, in_batches, opened
from rookery.posts.sources.json_values import words

SOURCE = "atproto_repo"
LARGEST_BLOCK_BYTES = 1 << 21
"""The longest block: twice what the protocol allows."""
LARGEST_REPOSITORY_BYTES = 1 << 30
"""The longest repository: it is held in memory; most are below a hundred megabytes."""

# CID version 1, DAG-CBOR, SHA-256 of 32 bytes: the only kind in the protocol
_SHA256_CBOR = b"\x01\x71\x12\x20"
_SHA256_RAW = b"\x01\x55\x12\x20"  # a blob, which some writers add to the records
_CID_BYTES = len(_SHA256_CBOR) + 32
_HEAD_BYTES = 128
_MEND = "Download the repository again"

Blocks = Mapping[bytes, bytes]


def recognizes(path: Path) -> bool:
    """Return whether a file is a CAR, by its name or by its header."""
    if ".car" in (suffix.lower() for suffix in path.suffixes):
        return True
    with clear_errors(path), opened(path) as file:
        head = file.read(_HEAD_BYTES)
    return b"eroots" in head[:16] and b"gversion" in head


def read(path: Path) -> Read:
    """Yield the posts of an export in batches of `POST_SCHEMA`, with rows set aside and events.

    Raises `DataError` if the file is damaged.
    """
    with clear_errors(path), opened(path) as file, _clear_decoding(path):
        root, blocks = read_car(file)
        yield from in_batches(_records(root, blocks))


def read_car(file: io.BufferedIOBase) -> tuple[bytes, Blocks]:
    """Return the first root of a CAR, and its blocks by their CIDs.

    Raises `ValueError` if the CAR is damaged.
    """
    header = _decode(_section(file) or b"")
    roots = header.get("roots") if isinstance(header, dict) and header.get("version") == 1 else None
    if not isinstance(roots, list) or not roots or not isinstance(roots[0], bytes):
        raise ValueError("it is not a CAR of version 1 with a root")
    blocks: dict[bytes, bytes] = {}
    total = 0
    while (section := _section(file)) is not None:
        cid, block = section[:_CID_BYTES], section[_CID_BYTES:]
        if not cid.startswith((_SHA256_CBOR, _SHA256_RAW)):
            raise ValueError(f"block {len(blocks) + 1} has a CID of a kind outside the protocol")
        if hashlib.sha256(block).digest() != cid[len(_SHA256_CBOR) :]:
            raise ValueError(f"block {len(blocks) + 1} does not match its hash")
        blocks[cid] = block
        total += len(section)
        if total > LARGEST_REPOSITORY_BYTES:
            raise ValueError(f"it is longer than {LARGEST_REPOSITORY_BYTES >> 20} MiB")
    return roots[0], blocks


def _section(file: io.BufferedIOBase) -> bytes | None:
    """Return the next part of a CAR, None at the end.

    A part is its length as a LEB128 number, then that many bytes.
    """
    length, shift = 0, 0
    while True:
        byte = file.read(1)
        if not byte:
            if shift:
                raise ValueError("it is cut short")
            return None
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if not byte[0] & 0x80:
            break
        if shift > 63:
            raise ValueError("a length in it is not a valid number")
    if length > LARGEST_BLOCK_BYTES:
        raise ValueError(f"a block claims to be {length:,} bytes long")
    part = file.read(length)
    if len(part) < length:
        raise ValueError("it is cut short")
    return part


def walk(data: bytes, blocks: Blocks) -> Iterator[tuple[str, bytes]]:
    """Yield the keys of a Merkle search tree, in order, each with the CID of its record.

    Raises `ValueError` if the tree is damaged.
    """
    seen: set[bytes] = set()
    last = b""
    waiting: list[tuple[bytes, bytes | None]] = [(data, None)]  # a node; or a record, with its key
    while waiting:
        cid, key = waiting.pop()
        if key is not None:
            if key <= last:
                raise ValueError("the keys of its tree are out of order")
            last = key
            yield key.decode("ascii"), cid
            continue
        if cid in seen:
            raise ValueError("its tree leads back to itself")
        seen.add(cid)
        waiting += reversed(_entries(_decode(_block(cid, blocks))))


def _entries(node: Any) -> list[tuple[bytes, bytes | None]]:
    """Return the entries of a node in order: subtrees, and records with their complete keys."""
    found: list[tuple[bytes, bytes | None]] = [(node["l"], None)] if node["l"] else []
    key = b""
    for entry in node["e"]:
        if not 0 <= entry["p"] <= len(key):
            raise ValueError("a key of its tree has an impossible prefix length")
        key = key[: entry["p"]] + entry["k"]
        found.append((entry["v"], key))
        if entry["t"]:
            found.append((entry["t"], None))
    return found


def _records(root: bytes, blocks: Blocks) -> Iterator[Post | SetAside | Event]:
    commit = _decode(_block(root, blocks))
    did, revision = words(commit["did"]), words(commit["rev"])
    if not did.startswith("did:") or commit["version"] not in (2, 3):
        raise ValueError("its root is not the commit of a repository")
    happened = atproto.time_of_tid(revision)
    for key, cid in walk(commit["data"], blocks):
        collection, _, rkey = key.partition("/")
        uri = f"at://{did}/{key}"
        record = _decode(_block(cid, blocks))
        if not isinstance(record, dict):
            yield SetAside(key, "not_a_record", {"id": uri}, uri, did)
        elif collection == atproto.POST:
            found = atproto.post_of(did, rkey, record, happened, SOURCE)
            if isinstance(found, str):
                yield SetAside(key, found, {"id": uri}, uri, did)
            else:
                yield found
        elif events := atproto.author_events(
            did, collection, record, atproto.declared_at(record, happened)
        ):
            yield from events
        else:
            reason = "repost" if collection == "app.bsky.feed.repost" else "other_collection"
            yield SetAside(key, reason, {"id": uri}, uri, did)


def _block(cid: Any, blocks: Blocks) -> bytes:
    if not isinstance(cid, bytes) or cid not in blocks:
        raise ValueError("a block that it names is missing")
    return blocks[cid]


def _decode(block: bytes) -> Any:
    return libipld.decode_dag_cbor(block)


@contextmanager
def _clear_decoding(path: Path) -> Iterator[None]:
    """Turn the exceptions of decoding an unexpected block into errors of one clear line."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        is_clear = type(error) is ValueError
        what = str(error) if is_clear else f"a block is not as expected ({type(error).__name__})"
        raise DataError(f"the repository cannot be read: {what}", where=path, hint=_MEND) from None
