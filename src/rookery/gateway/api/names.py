"""Names that other networks' clients accept, for authors and posts of any network.

A client takes its network's own ids apart, so that ids of other networks need another form. Each is
made of the id itself and can be turned back, so that a client may ask with what it was given:

    AT protocol   author   did:plc:…  as it is; else did:rookery: and base32 of the name
                  post     at://AUTHOR/app.bsky.feed.post/KEY; KEY is the id, or `~` and its base32
    Mastodon      author   base32 of the name
                  post     a number: milliseconds since 1970, times 65,536, plus 16 bits of a hash

Base32 is that of RFC 4648 in small letters without padding. A Mastodon post's number alone cannot
be turned back; it orders posts by time, as Mastodon's own do.
"""

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta

from rookery.core.digest import hash_ids

_OWN_METHOD = "did:rookery:"
_DID = re.compile(r"did:[a-z]+:[A-Za-z0-9.:%-]*[A-Za-z0-9.-]")
_HANDLE = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_KEY = re.compile(r"(?!~|\.{1,2}$)[A-Za-z0-9._:~-]{1,512}")
_AT_POST = re.compile(r"at://(?:did:[a-z]+:[A-Za-z0-9.-]+)/app\.bsky\.feed\.post/[A-Za-z0-9._:~-]+")
_INVALID_HANDLE = "handle.invalid"  # what Bluesky itself shows where it knows none
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_SEQUENCE_BITS = 16


def did_of(author: str) -> str:
    """Return an author's DID.

    >>> did_of("ada"), did_of("did:plc:abc")
    ('did:rookery:mfsgc', 'did:plc:abc')
    """
    is_own = author.startswith(_OWN_METHOD)
    return author if _DID.fullmatch(author) and not is_own else _OWN_METHOD + _base32(author)


def author_of_did(did: str) -> str:
    """Return the author whom a DID or handle names, as posts have the name.

    >>> author_of_did("did:rookery:mfsgc"), author_of_did("ada.example")
    ('ada', 'ada.example')
    """
    if not did.startswith(_OWN_METHOD):
        return did
    return _from_base32(did.removeprefix(_OWN_METHOD)) or did


def handle_of(author: str) -> str:
    """Return an author's handle, which is the name if it could be that of a host."""
    name = author.lower().lstrip("@")
    return name if _HANDLE.fullmatch(name) else _INVALID_HANDLE


def at_uri(post_id: str, author: str) -> str:
    """Return the AT-URI of a post.

    >>> at_uri("17", "ada")
    'at://did:rookery:mfsgc/app.bsky.feed.post/17'
    """
    if _AT_POST.fullmatch(post_id):
        return post_id
    key = post_id if _KEY.fullmatch(post_id) else "~" + _base32(post_id)
    return f"at://{did_of(author)}/app.bsky.feed.post/{key}"


def account_id(author: str) -> str:
    """Return the id of an author's account on Mastodon."""
    return _base32(author)


def author_of_account(account: str) -> str | None:
    """Return the author of an account's id, or None if there cannot be one."""
    return _from_base32(account)


def status_id(post_id: str, created: datetime) -> int:
    """Return the number of a post on Mastodon; a later post has a higher one.

    Of posts of one millisecond the order is that of a hash, and two share a number with
    probability 1 in 65,536.
    """
    low = int(hash_ids([post_id])[0]) & ((1 << _SEQUENCE_BITS) - 1)
    return max(0, (created - _EPOCH) // _MILLISECOND) << _SEQUENCE_BITS | low


def moment_of_status(number: int) -> datetime:
    """Return the moment of a post from its number; raises `OverflowError` for an impossible one."""
    return _EPOCH + timedelta(milliseconds=number >> _SEQUENCE_BITS)


def _base32(name: str) -> str:
    encoded = base64.b32encode(name.encode("utf-8", "replace"))
    return encoded.decode().rstrip("=").lower()


def _from_base32(text: str) -> str | None:
    try:
        padded = text.upper() + "=" * (-len(text) % 8)
        return base64.b32decode(padded).decode()
    except (binascii.Error, ValueError):
        return None
