"""Caps: how often each viewer was offered what, so that none sees more of it than is allowed.

In memory, of one process. A viewer is known under the pseudonym of each day (`ledger/token.py`),
and looked up under those of the last days, so that nothing is kept under a name that lasts. An
offer counts as a view until it expires unseen: so no cap is passed while offers are out. What was
seen before the process began comes from the ledger (`restore`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rookery.ads.select.columns import GroupColumns
from rookery.ads.terms.objects import Cap

MOST_DAYS = 31
"""The longest window of a cap."""
_VIEWERS_TOGETHER = 10_000


@dataclass(slots=True)
class Seen:
    """An ad that was offered or seen. until: when it stops counting unless it is seen, or None."""

    offer: int
    at_seconds: float
    until: float | None
    row: int
    version: int


class Caps:
    """What viewers were offered and saw, by their pseudonyms, newest last."""

    def __init__(self) -> None:
        self._seen: dict[bytes, list[Seen]] = {}
        self._of_offer: dict[int, Seen] = {}
        self._to_look_at: list[bytes] = []

    def note(self, viewer: bytes, seen: Seen) -> None:
        """Note an offer to a viewer, or what it saw."""
        self._seen.setdefault(viewer, []).append(seen)
        if seen.until is not None:
            self._of_offer[seen.offer] = seen

    def confirm(self, offer: int) -> None:
        """Note that an offer was seen, so that it counts for good."""
        if (seen := self._of_offer.pop(offer, None)) is not None:
            seen.until = None

    def of(self, names: Sequence[bytes], now_seconds: float) -> list[Seen]:
        """Return what counts of a viewer, given by its pseudonyms of the last days."""
        return [
            seen
            for name in names
            for seen in self._seen.get(name, ())
            if seen.until is None or seen.until > now_seconds
        ]

    def forget(self, now_seconds: float, keep_seconds: float = MOST_DAYS * 86_400.0) -> None:
        """Forget what no window reaches any more, and offers that expired unseen.

        Of some viewers at a time, so that nobody waits for it; called again, of the next ones.
        """
        if not self._to_look_at:
            self._to_look_at = list(self._seen)
        for name in self._to_look_at[-_VIEWERS_TOGETHER:]:
            kept = []
            for one in self._seen.get(name, ()):
                has_expired = one.until is not None and one.until <= now_seconds
                if has_expired:
                    self._of_offer.pop(one.offer, None)
                elif one.at_seconds > now_seconds - keep_seconds:
                    kept.append(one)
            if kept:
                self._seen[name] = kept
            else:
                self._seen.pop(name, None)
        del self._to_look_at[-_VIEWERS_TOGETHER:]


def capped(
    columns: GroupColumns, rows: np.ndarray, seen: Sequence[Seen], now_seconds: float
) -> np.ndarray:
    """Return which of some rows a viewer saw as often as is allowed; bool (n,)."""
    found = np.zeros(len(rows), bool)
    if not seen:
        return found
    caps, advertisers = columns.rows["caps"][rows], columns.rows["advertiser"]
    # what a cap counts at any level is of the same advertiser
    was_seen = np.zeros(columns.advertisers, bool)
    was_seen[advertisers[[one.row for one in seen]]] = True
    for place in np.flatnonzero((caps > 0) & was_seen[advertisers[rows]]).tolist():
        row = int(rows[place])
        found[place] = any(
            _count(columns, cap, row, seen, now_seconds) >= cap.views
            for cap in columns.caps[caps[place]]
            if cap.level != "ad"
        ) or bool(capped_versions(columns, row, seen, now_seconds).all())
    return found


def capped_versions(
    columns: GroupColumns, row: int, seen: Sequence[Seen], now_seconds: float
) -> np.ndarray:
    """Return which ads of a row a viewer saw as often as is allowed; bool (ads,)."""
    versions = columns.versions_of(row)
    found = np.zeros(len(versions), bool)
    for cap in columns.caps[columns.rows["caps"][row]]:
        if cap.level == "ad":
            recent = _recent(seen, cap, now_seconds)
            counts = Counter(one.version for one in recent)
            found |= np.array([counts[int(key)] >= cap.views for key in versions], bool)
    return found


def _count(
    columns: GroupColumns, cap: Cap, row: int, seen: Iterable[Seen], now_seconds: float
) -> int:
    """Return how often a viewer saw what a cap counts, within its window."""
    if cap.level == "group":
        return sum(one.row == row for one in _recent(seen, cap, now_seconds))
    column = columns.rows[cap.level]
    return sum(column[one.row] == column[row] for one in _recent(seen, cap, now_seconds))


def _recent(seen: Iterable[Seen], cap: Cap, now_seconds: float) -> Iterable[Seen]:
    return (one for one in seen if one.at_seconds > now_seconds - cap.window_seconds)
