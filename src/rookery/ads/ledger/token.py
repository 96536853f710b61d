"""Tokens: an offer as a signed text, which the page sends back when the ad is seen or clicked.

    version | key number | terms | features | signature          base64url without padding

No database knows an offer before its view. The token carries all that booking needs: whose money it
is, what it costs, to whom it was made and until when it counts. Nobody can make or change one
without the store's key; a key is replaced now and then, and an older one opens the tokens that it
sealed until they expire. A token tells no words of a query: features are numbers of buckets.

Pure but for reading the keys. Not here: what an event counts and costs (`booking.py`).
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from sqlalchemy.engine import Connection

from rookery.ads.ledger.store import RESTORE, VIEWER_KEY, get_state, set_state
from rookery.ads.terms.objects import PAYMENTS, Payment
from rookery.core.context import Clock
from rookery.core.errors import DataError

FEATURE_TYPE = np.dtype("<u4")
TOKEN_KEYS = "token_keys"
VIEWER_BYTES = 12
_FORMAT = 1
_TERMS = struct.Struct(f"<BBQii{VIEWER_BYTES}sBqddqq")
_SIGNATURE_BYTES = 16

_EPOCH_MS = 1_577_836_800_000  # 2020-01-01
_PLACE_BITS, _ENGINE_BITS, _COUNT_BITS = 2, 10, 10
ENGINES = 1 << _ENGINE_BITS


@dataclass(frozen=True)
class OfferTerms:
    """An offer: to whom, whose money, what one of what is paid for costs, what was predicted.

    offer: its number. campaign, ad_version: their keys. viewer: a pseudonym. propensity: how likely
    this ad of its group was. features: numbers of buckets, uint32.
    """

    offer: int
    campaign: int
    ad_version: int
    viewer: bytes
    pays_for: Payment
    price_micros: int
    pctr: float
    propensity: float
    features: bytes
    at_seconds: int
    expires_seconds: int

    @property
    def place(self) -> int:
        """Return which place beside the page it has, from 0."""
        return self.offer & ((1 << _PLACE_BITS) - 1)


# Tokens
# -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Keys:
    """The keys of a store by their numbers, and the number of the newest, which seals."""

    by_number: Mapping[int, bytes]
    newest: int


def seal(terms: OfferTerms, keys: Keys) -> str:
    """Return an offer as a token."""
    number = keys.newest
    packed = _TERMS.pack(
        _FORMAT,
        number,
        terms.offer,
        terms.campaign,
        terms.ad_version,
        terms.viewer,
        PAYMENTS.index(terms.pays_for),
        terms.price_micros,
        terms.pctr,
        terms.propensity,
        terms.at_seconds,
        terms.expires_seconds,
    )
    signed = packed + terms.features
    whole = signed + _signature(signed, keys.by_number[number])
    return base64.urlsafe_b64encode(whole).rstrip(b"=").decode()


def unseal(token: str, keys: Keys) -> OfferTerms | None:
    """Return the offer of a token, or None if it was not sealed with one of the keys."""
    try:
        whole = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except (ValueError, binascii.Error):
        return None
    signed, signature = whole[:-_SIGNATURE_BYTES], whole[-_SIGNATURE_BYTES:]
    if len(signed) < _TERMS.size or signed[0] != _FORMAT or signed[1] not in keys.by_number:
        return None
    if not hmac.compare_digest(signature, _signature(signed, keys.by_number[signed[1]])):
        return None
    _, _, offer, campaign, ad_version, viewer, pays_for, *rest = _TERMS.unpack_from(signed)
    price_micros, pctr, propensity, at_seconds, expires_seconds = rest
    return OfferTerms(
        offer,
        campaign,
        ad_version,
        viewer,
        PAYMENTS[pays_for],
        price_micros,
        pctr,
        propensity,
        signed[_TERMS.size :],
        at_seconds,
        expires_seconds,
    )


def _signature(signed: bytes, key: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256")[:_SIGNATURE_BYTES]


def read_keys(connection: Connection, now_seconds: int, keep_seconds: int) -> Keys:
    """Return the keys that seal or still open tokens; in a new store, make the first one.

    keep_seconds: for how long an older key opens tokens after the next one was made.
    """
    stored = _stored_keys(connection) or _with_new_key(connection, [], now_seconds)
    open_ = {
        number: bytes.fromhex(key)
        for place, (number, key, _) in enumerate(stored)
        if place == len(stored) - 1 or stored[place + 1][2] > now_seconds - keep_seconds
    }
    return Keys(open_, stored[-1][0])


def replace_key(connection: Connection, now_seconds: int) -> None:
    """Make a new key, with which offers are sealed from then on."""
    _with_new_key(connection, _stored_keys(connection), now_seconds)


_Stored = list[tuple[int, str, int]]  # number, key, since when


def _stored_keys(connection: Connection) -> _Stored:
    return [tuple(one) for one in json.loads(get_state(connection, TOKEN_KEYS) or b"[]")]


def _with_new_key(connection: Connection, stored: _Stored, now_seconds: int) -> _Stored:
    number = (stored[-1][0] + 1) % 256 if stored else 0
    stored = [*stored[-200:], (number, secrets.token_bytes(32).hex(), now_seconds)]
    set_state(connection, TOKEN_KEYS, json.dumps(stored).encode())
    return stored


# Numbers
# -------------------------------------------------------------------------------------------------


class OfferNumbers:
    """The numbers of one engine's auctions: rising, and no other engine's.

    63 bits: milliseconds since 2020, a count within one, the engine, and the place, which is 0.
    """

    def __init__(self, engine: int, clock: Clock, after: int = 0) -> None:
        """after: an offer that was made before, by whoever had the number of this engine."""
        self._engine, self._clock = engine, clock
        self._last = after >> (_ENGINE_BITS + _PLACE_BITS)
        self._lock = threading.Lock()

    def next(self) -> int:
        """Return the number of a new auction, which is that of its first offer."""
        with self._lock:
            ms = int(self._clock.now().timestamp() * 1000) - _EPOCH_MS
            # where the clock jumped back, or a millisecond is full, it goes on from the last one
            self._last = max(self._last + 1, ms << _COUNT_BITS)
            return ((self._last << _ENGINE_BITS) | self._engine) << _PLACE_BITS


def auction_of(offer: int) -> int:
    """Return the number of the auction in which an offer was made."""
    return offer >> _PLACE_BITS << _PLACE_BITS


def seconds_of(offer: int) -> int:
    """Return about when an offer was made, from its number."""
    ms = offer >> (_PLACE_BITS + _ENGINE_BITS + _COUNT_BITS)
    return (ms + _EPOCH_MS) // 1000


# Viewers
# -------------------------------------------------------------------------------------------------


def read_viewer_key(connection: Connection) -> bytes:
    """Return the key under which viewers have their pseudonyms.

    Raises `DataError` if the store has lost it.
    """
    key = get_state(connection, VIEWER_KEY)
    if key is None:
        raise DataError("the ads database has no key for viewers' names", hint=RESTORE)
    return key


def pseudonym(key: bytes, viewer: str, day: str) -> bytes:
    """Return a viewer's name on a day (`utc_day`).

    It is a keyed hash and differs from day to day, so that nobody can put a profile together.
    """
    named = f"{day} {viewer}".encode()
    return hashlib.blake2b(named, key=key, digest_size=VIEWER_BYTES).digest()


def utc_day(now_seconds: float) -> str:
    """Return the day (UTC) of a moment, such as 2026-01-31."""
    return datetime.fromtimestamp(now_seconds, UTC).date().isoformat()
