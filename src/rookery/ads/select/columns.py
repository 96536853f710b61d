"""GroupColumns: what a request has to know of each group, in arrays by row.

A row is a group, and keeps its number as long as a process serves. Texts of ads lie in one store of
bytes, as a hundred thousand of them are read only when they win. Sets (languages, countries,
devices, hours of the week) are few and named by number.

Not here: which groups fit a text (`index.py`), what they may spend (`price/accounts.py`), and the
rules over these columns (`rules.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rookery.ads.predict.features import ad_codes, moved_codes
from rookery.ads.terms.objects import PAYMENTS, STRATEGIES, Cap, KnownVersion, Listing

HOURS = 24 * 7
_FIRST_ROWS = 64
_FOREVER, _NOWHERE = 1 << 60, -1
_KINDS = {
    "group": "<i4",  # keys of the ledger
    "campaign": "<i4",
    "advertiser": "<i4",  # a number of its own
    "bid_micros": "<i8",
    "strategy": "u1",
    "pays_for": "u1",
    "paused": "?",
    "reviewed": "?",
    "start": "<i8",
    "end": "<i8",
    "zone": "<i4",
    "languages": "<i4",
    "countries": "<i4",
    "devices": "<i4",
    "hours": "<i4",
    "caps": "<i4",
    "code": "<u4",  # of the group, for the click predictor
    "first_version": "<i4",
    "versions": "<i4",
}


class Sets:
    """Sets of a few items, by their numbers; 0 is the empty one, which excludes nobody."""

    def __init__(self) -> None:
        self._numbers: dict[frozenset[object], int] = {frozenset(): 0}
        self._items: dict[object, int] = {}
        self._has = np.ones((1, 1), bool)  # the last column is of items that no set has

    def number(self, items: Iterable[object]) -> int:
        """Return the number of a set, new or known."""
        wanted = frozenset(items)
        number = self._numbers.setdefault(wanted, len(self._numbers))
        if number == len(self._has):
            for item in wanted:
                self._items.setdefault(item, len(self._items))
            grown = np.zeros((number + 1, len(self._items) + 1), bool)
            grown[0] = True
            grown[:number, : self._has.shape[1] - 1] = self._has[:, :-1]
            grown[number, [self._items[item] for item in wanted]] = True
            self._has = grown
        return number

    def with_item(self, item: object) -> np.ndarray:
        """Return which sets have an item, bool (sets,); the empty one has every item."""
        return self._has[:, self._items.get(item, self._has.shape[1] - 1)]


class NumberLists:
    """Lists of numbers by row, in one pool; a row whose list changes gets a new one."""

    def __init__(self) -> None:
        self._pool = np.zeros(64, np.int32)
        self._used = 0
        self._first = np.zeros(64, np.int64)
        self._length = np.zeros(64, np.int32)

    def put(self, row: int, numbers: Sequence[int]) -> None:
        """Set the list of a row."""
        self._reserve(row)
        end = self._used + len(numbers)
        if end > len(self._pool):
            more = np.zeros(max(len(self._pool), len(numbers)), np.int32)
            self._pool = np.concatenate([self._pool, more])
        self._pool[self._used : end] = numbers
        self._first[row], self._length[row] = self._used, len(numbers)
        self._used = end

    def _reserve(self, row: int) -> None:
        while row >= len(self._first):
            self._first = np.concatenate([self._first, np.zeros_like(self._first)])
            self._length = np.concatenate([self._length, np.zeros_like(self._length)])

    def of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of some rows, and the place of each number's row among them."""
        self._reserve(int(rows.max(initial=0)))
        lengths = self._length[rows]
        places = np.repeat(np.arange(len(rows)), lengths)
        ends = lengths.cumsum()
        within = np.arange(len(places)) - np.repeat(ends - lengths, lengths)
        return self._pool[self._first[rows][places] + within], places


@dataclass(frozen=True)
class AdText:
    """What is shown of a version of an ad."""

    version: int
    ad: str
    title: str
    body: str
    url: str


class GroupRows:
    """The rows that there are, by the names of their columns."""

    __slots__ = ("_columns", "_count")

    def __init__(self, columns: Mapping[str, np.ndarray], count: int) -> None:
        self._columns, self._count = columns, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name][: self._count]


class GroupColumns:
    """The columns of all groups."""

    def __init__(self) -> None:
        self._columns = {name: np.zeros(_FIRST_ROWS, kind) for name, kind in _KINDS.items()}
        self._count = 0
        self._row_of: dict[int, int] = {}  # by the group's key
        self._advertisers: dict[str, int] = {}
        self.ids: list[tuple[str, str, str]] = []  # of group and campaign, name of the advertiser
        self.languages, self.countries, self.devices, self.hours = Sets(), Sets(), Sets(), Sets()
        self.zones: list[str] = []
        self.caps: list[tuple[Cap, ...]] = [()]
        self._versions = np.zeros(_FIRST_ROWS, np.int32)
        self._text_ends = np.zeros(_FIRST_ROWS + 1, np.int64)
        self._version_count = 0
        self._row_of_version = np.full(_FIRST_ROWS, _NOWHERE, np.int32)  # by key
        self._texts = bytearray()
        self._moved: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return self._count

    @property
    def cap_days(self) -> int:
        """Return how many days before today a cap may look back to."""
        windows = [cap.window_seconds for caps in self.caps for cap in caps]
        return -(-max(windows, default=0) // 86_400)

    @property
    def advertisers(self) -> int:
        """Return how many advertisers there are."""
        return len(self._advertisers)

    @property
    def rows(self) -> GroupRows:
        """Return the rows that there are."""
        return GroupRows(self._columns, self._count)

    def put(self, listing: Listing) -> int:
        """Put a group in, or change it, and return its row."""
        group, campaign = listing.group, listing.campaign
        place = self._row_of.setdefault(listing.key, self._count)
        if place == self._count:
            self._count += 1
            self.ids.append(("", "", ""))
            if self._count > len(self._columns["group"]):
                for name, column in self._columns.items():
                    self._columns[name] = np.concatenate([column, np.zeros_like(column)])
        self.ids[place] = group.id, campaign.id, listing.advertiser.name
        target = group.targeting
        first = self._add_versions(place, listing.versions)
        values = (
            listing.key,
            listing.campaign_key,
            self._advertisers.setdefault(campaign.advertiser, len(self._advertisers)),
            group.bid.micros,
            STRATEGIES.index(group.bid.strategy),
            PAYMENTS.index(campaign.pays_for),
            group.paused or campaign.paused,
            listing.is_reviewed,
            -_FOREVER if campaign.start_seconds is None else campaign.start_seconds,
            _FOREVER if campaign.end_seconds is None else campaign.end_seconds,
            _place_in(self.zones, campaign.zone),
            self.languages.number(target.languages),
            self.countries.number(target.countries),
            self.devices.number(target.devices),
            self.hours.number(target.hours),
            _place_in(self.caps, campaign.caps),
            ad_codes([group.id])[0],
            first,
            len(listing.versions),
        )
        for column, value in zip(self._columns.values(), values, strict=True):
            column[place] = value
        return place

    def moved_codes(self, rows: np.ndarray, length: int) -> np.ndarray:
        """Return the codes of some rows, moved on by a length, uint32 (n,); they are kept."""
        kept = self._moved.get(length)
        if kept is None or len(kept) < self._count:
            kept = self._moved[length] = moved_codes(self.rows["code"], length)
        return kept[rows]

    def row_of(self, group_key: int) -> int | None:
        """Return the row of a group by its key, or None."""
        return self._row_of.get(group_key)

    # Versions of ads
    # ---------------------------------------------------------------------------------------------

    def _add_versions(self, row: int, versions: Sequence[KnownVersion]) -> int:
        """Add the texts of a row's ads unless they are there, and return the first one's place."""
        if self.versions_of(row).tolist() == [one.key for one in versions]:
            return int(self._columns["first_version"][row])
        first = self._version_count
        self._version_count += len(versions)
        if self._version_count > len(self._versions):
            more = max(len(self._versions), len(versions))
            self._versions = np.concatenate([self._versions, np.zeros(more, np.int32)])
            self._text_ends = np.concatenate([self._text_ends, np.zeros(more, np.int64)])
        for place, one in enumerate(versions, first):
            self._note_version(one.key, row)
            words = one.version
            self._texts += "\0".join((words.ad, words.title, words.body, words.url)).encode()
            self._versions[place] = one.key
            self._text_ends[place + 1] = len(self._texts)
        return first

    def _note_version(self, key: int, row: int) -> None:
        while key >= len(self._row_of_version):
            more = np.full_like(self._row_of_version, _NOWHERE)
            self._row_of_version = np.concatenate([self._row_of_version, more])
        self._row_of_version[key] = row

    def row_of_version(self, key: int) -> int | None:
        """Return the row of a version of an ad by its key, or None."""
        row = int(self._row_of_version[key]) if key < len(self._row_of_version) else _NOWHERE
        return None if row == _NOWHERE else row

    def versions_of(self, row: int) -> np.ndarray:
        """Return the keys of the versions of a row's ads, int32 (ads,)."""
        first = int(self._columns["first_version"][row])
        return self._versions[first : first + int(self._columns["versions"][row])]

    def text(self, row: int, place: int) -> AdText:
        """Return what is shown of one of a row's ads."""
        at = int(self._columns["first_version"][row]) + place
        start, end = self._text_ends[at : at + 2].tolist()
        ad, title, body, url = self._texts[start:end].decode().split("\0")
        return AdText(int(self._versions[at]), ad, title, body, url)

    def sums_by_row(self, of_versions: np.ndarray) -> np.ndarray:
        """Return sums over the ads of each row. of_versions: by key of a version, (keys, …)."""
        used = self._versions[: self._version_count]
        known = np.where(used < len(of_versions), used, 0)
        values = np.where((used < len(of_versions))[:, None], of_versions[known], 0)
        ends = np.concatenate([np.zeros((1, values.shape[1]), values.dtype), values.cumsum(axis=0)])
        first = self.rows["first_version"]
        return ends[first + self.rows["versions"]] - ends[first]


def _place_in(items: list, item: object) -> int:
    """Return the place of an item in a short list, adding it."""
    try:
        return items.index(item)
    except ValueError:
        items.append(item)
        return len(items) - 1
