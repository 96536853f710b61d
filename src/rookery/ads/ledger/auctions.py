"""Auctions: what each leaves behind, so that it can be held again to the bit (`explain.py`).

A record has the candidates that could have won with all that decided among them, what was sold, and
how many others did not run and why. It has no words and no viewer. Records are appended to a file
for each hour and process, a group of them at a time; a record that a kill cut off is not read.
Files are deleted after `keep_days`.

An auction's number begins with its time (`token.py`), so that it tells the hour of its file.
"""

import json
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from rookery.ads.terms.objects import Rule
from rookery.core.errors import UsageError

CANDIDATE = np.dtype(
    [
        ("ad_group", "<i4"),
        ("advertiser", "<i4"),
        ("bid_micros", "<i8"),
        ("pctr", "<f8"),
        ("pcvr", "<f8"),
        ("quality", "<f8"),
        ("tie", "<u4"),
        ("pays_for", "u1"),
    ]
)
"""What decides about a candidate. ad_group: its key. pays_for: its place in `PAYMENTS`."""
_HEAD = struct.Struct("<II")  # length and CRC-32 of what follows
_HOUR_FORMAT = "%Y-%m-%dT%H"


@dataclass(frozen=True)
class Sold:
    """A place that was sold. ad_version: its key. propensity: how likely this ad of its group was.

    candidate: its place among the candidates of the record.
    """

    candidate: int
    price_micros: int
    ad_version: int
    propensity: float
    explored: bool


@dataclass(frozen=True)
class AuctionRecord:
    """What one auction leaves behind.

    auction: its number. candidates: of type `CANDIDATE`, best first. ranked: how many took part.
    refused: how many others did not, by reason. book: the version of what is sold.
    """

    auction: int
    at_seconds: int
    book: int
    rule: Rule
    places: int
    reserve_micros: int
    squash: float
    candidates: np.ndarray
    ranked: int
    sold: tuple[Sold, ...]
    refused: Mapping[str, int]

    def to_bytes(self) -> bytes:
        """Return the record as it stands in a file."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        plain["sold"] = [[getattr(one, name) for name in _SOLD] for one in self.sold]
        head = json.dumps(plain, separators=(",", ":")).encode()
        return b"".join([struct.pack("<I", len(head)), head, self.candidates.tobytes()])

    @classmethod
    def from_bytes(cls, data: bytes) -> "AuctionRecord":
        """Return the record of some bytes."""
        end = 4 + struct.unpack_from("<I", data)[0]
        plain = json.loads(data[4:end])
        plain["sold"] = tuple(Sold(*one) for one in plain["sold"])
        return cls(candidates=np.frombuffer(data[end:], CANDIDATE), **plain)


_SOLD = tuple(Sold.__dataclass_fields__)
_PLAIN = tuple(
    name for name in AuctionRecord.__dataclass_fields__ if name not in ("candidates", "sold")
)


class AuctionFiles:
    """The records of a home, in a folder. name: of this process among those that write there."""

    def __init__(self, folder: Path, name: str = "0", keep_days: int = 7) -> None:
        self._folder, self._name, self._keep = folder, name, timedelta(days=keep_days)
        self._waiting: list[AuctionRecord] = []
        self._lock = threading.Lock()

    def add(self, record: AuctionRecord) -> None:
        """Take a record, which `flush` writes."""
        self._waiting.append(record)

    def flush(self) -> int:
        """Append the records that wait to their files, and return how many."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            by_hour: dict[str, list[bytes]] = {}
            for record in waiting:
                data = record.to_bytes()
                parts = by_hour.setdefault(_hour_of(record.at_seconds), [])
                parts += [_HEAD.pack(len(data), zlib.crc32(data)), data]
            for hour, parts in by_hour.items():
                path = self._folder / f"{hour}.{self._name}.auctions"
                if not path.exists():
                    self._folder.mkdir(parents=True, exist_ok=True)
                    self._forget(datetime.strptime(hour, _HOUR_FORMAT))
                with path.open("ab") as file:
                    file.write(b"".join(parts))
            return len(waiting)

    def _forget(self, now: datetime) -> None:
        """Delete the files of hours that are kept no longer."""
        for path in self._folder.glob("*.auctions"):
            hour = datetime.strptime(path.name.partition(".")[0], _HOUR_FORMAT)
            if hour < now - self._keep:
                path.unlink(missing_ok=True)

    def find(self, auction: int, at_seconds: int) -> AuctionRecord:
        """Return the record of an auction held at a moment; raise `UsageError` without one."""
        for path in sorted(self._folder.glob(f"{_hour_of(at_seconds)}.*.auctions")):
            for record in read_records(path):
                if record.auction == auction:
                    return record
        raise UsageError(
            f"there is no record of auction {auction}",
            where=self._folder,
            hint=f"Records are kept for {self._keep.days} days",
        )

    def all(self) -> Iterator[AuctionRecord]:
        """Yield all records that were written, hour by hour."""
        for path in sorted(self._folder.glob("*.auctions")):
            yield from read_records(path)


def _hour_of(at_seconds: int) -> str:
    return datetime.fromtimestamp(at_seconds, UTC).strftime(_HOUR_FORMAT)


def read_records(path: Path) -> Iterator[AuctionRecord]:
    """Yield the whole records of a file, passing over what a kill cut off."""
    data, place = path.read_bytes(), 0
    while place + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, place)
        part = data[place + _HEAD.size : place + _HEAD.size + length]
        if len(part) < length or zlib.crc32(part) != checksum:
            return
        yield AuctionRecord.from_bytes(part)
        place += _HEAD.size + length
