"""AT-proto repository export: the CAR file of one account, as `com.atproto.sync.getRepo` sends it.

A CAR (version 1) is a list of blocks, each named by its hash; the first root is the commit, which
names the account and the root of a Merkle search tree, whose keys are `collection/rkey`
(atproto.com/specs/repository). Posts come in the order of the tree. The records are read in
`atproto.py`; the profile and declared preferences become events of the author in the live log, at
the time when they were declared, or else of the commit's revision. Records of other collections are
set aside by their addresses alone.

Every block's hash is checked, so that what is read is unchanged since its commit; the signature of
the commit is not checked, for that requires the account's public key. One bad record costs one
record: if its block is missing, cannot be decoded or is of another kind than DAG-CBOR with SHA-256,
it is set aside by its address. Refused: a file cut short, a block that is altered or too long, a
commit or a node of the tree that is missing or damaged, keys out of order.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import libipld

from rookery.core.errors import DataError
from rookery.posts.event import Event
from rookery.posts.post import Post
from rookery.posts.sources import atproto
from rookery.posts.sources.files import File, Read, SetAside, clear_errors, in_batches, opened
from rookery.posts.sources.json_values import words

SOURCE = "atproto_repo"
LARGEST_BLOCK_BYTES = 1 << 21
"""The longest block: twice what the protocol allows."""
LARGEST_REPOSITORY_BYTES = 1 << 30
"""The longest repository: it is held in memory; most are below a hundred megabytes."""

# CID version 1, DAG-CBOR, SHA-256 of 32 bytes: the only kind in the protocol. Some writers add
# blobs (raw, \x55) to the records, and other programs anything that their own library can name.
_SHA256_CBOR = b"\x01\x71\x12\x20"
_VERSION_0 = b"\x12\x20"  # a CID without version and codec: SHA-256 of DAG-PB
_HASHES = {0x12: "sha256", 0x13: "sha512", 0x16: "sha3_256", 0x14: "sha3_512"}  # of multicodec
_LARGEST_NUMBER_BYTES = 9
_HEAD_BYTES = 128
_MEND = "Download the repository again"

Blocks = Mapping[bytes, bytes]


def recognizes(path: File) -> bool:
    """Return whether a file is a CAR, by its name or by its header."""
    if ".car" in (suffix.lower() for suffix in path.suffixes):
        return True
    with clear_errors(path), opened(path) as file:
        head = file.read(_HEAD_BYTES)
    return b"eroots" in head[:16] and b"gversion" in head


def read(path: File) -> Read:
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
        cid, block = _named(section)
        if not _is_its_hash(cid, block):
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


def _named(section: bytes) -> tuple[bytes, bytes]:
    """Return the CID of a block and the block.

    A CID is version, codec, hash function and the length of the hash, as LEB128 numbers, then the
    hash (github.com/multiformats/cid).
    """
    if section.startswith(_VERSION_0):
        end = len(_VERSION_0) + 32
    else:
        version, place = _number(section, 0)
        if version != 1:
            raise ValueError("a CID in it is of an unknown version")
        for _ in range(3):
            length, place = _number(section, place)
        end = place + length
    if end > len(section):
        raise ValueError("a CID in it is longer than its block")
    return section[:end], section[end:]


def _number(data: bytes, place: int) -> tuple[int, int]:
    """Return a LEB128 number and the position after it."""
    number = 0
    for shift, byte in enumerate(data[place : place + _LARGEST_NUMBER_BYTES]):
        number |= (byte & 0x7F) << 7 * shift
        if not byte & 0x80:
            return number, place + shift + 1
    raise ValueError("a number in it is not valid")


def _is_its_hash(cid: bytes, block: bytes) -> bool:
    """Return whether a block has the hash in its CID.

    True for a hash function that is unknown here: no record of such a block is taken.
    """
    if cid.startswith((_SHA256_CBOR, _VERSION_0)):
        return hashlib.sha256(block).digest() == cid[-32:]
    place = _number(cid, _number(cid, 0)[1])[1]
    function, place = _number(cid, place)
    digest = cid[_number(cid, place)[1] :]
    name = _HASHES.get(function)
    return name is None or hashlib.new(name, block).digest() == digest


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
        record = _record(cid, blocks)
        if isinstance(record, str):
            yield SetAside(key, record, {"id": uri}, uri, did)
        elif collection == atproto.POST:
            found = atproto.post_of(did, rkey, record, happened, SOURCE)
            yield SetAside(key, found, {"id": uri}, uri, did) if isinstance(found, str) else found
        elif events := atproto.author_events(
            did, collection, record, atproto.declared_at(record, happened)
        ):
            yield from events
        else:
            reason = "repost" if collection == "app.bsky.feed.repost" else "other_collection"
            yield SetAside(key, reason, {"id": uri}, uri, did)


def _record(cid: Any, blocks: Blocks) -> dict[str, Any] | str:
    """Return a record, or the reason why there is none under its CID."""
    if not isinstance(cid, bytes) or cid not in blocks:
        return "block_is_missing"
    if not cid.startswith(_SHA256_CBOR):
        return "block_of_another_kind"
    try:
        record = _decode(blocks[cid])
    except (ValueError, TypeError, OverflowError, RecursionError):
        return "not_decodable"
    return record if isinstance(record, dict) else "not_a_record"


def _block(cid: Any, blocks: Blocks) -> bytes:
    """Return the block of the commit or of a node of the tree."""
    if not isinstance(cid, bytes) or cid not in blocks:
        raise ValueError("a block that it names is missing")
    if not cid.startswith(_SHA256_CBOR):
        raise ValueError("its commit or its tree is of another kind than DAG-CBOR with SHA-256")
    return blocks[cid]


def _decode(block: bytes) -> Any:
    return libipld.decode_dag_cbor(block)


@contextmanager
def _clear_decoding(path: File) -> Iterator[None]:
    """Turn the exceptions of decoding an unexpected block into errors of one clear line."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        is_clear = type(error) is ValueError
        what = str(error) if is_clear else f"a block is not as expected ({type(error).__name__})"
        raise DataError(f"the repository cannot be read: {what}", where=path, hint=_MEND) from None
