"""Rates: how often each version of an ad was seen, clicked and bought from, by its key.

Among the ads of one group they choose (`exploring.py`), they order candidates before anything else
is predicted, and they tell how many clicks are followed by a conversion. Not here: what is known of
an ad beside one text (`ftrl.py`), and when rates are learned (`learning.py`).
"""

import numpy as np

from rookery.ads.predict.ftrl import PRIOR_CTR

PRIOR_VIEWS = 20.0  # what is believed of a new ad weighs as much as so many views
PRIOR_CVR, PRIOR_CLICKS = 0.05, 20.0  # and of its clicks
SEEN, CLICKED, CONVERTED = range(3)


class Rates:
    """The counts of versions by their keys; int64 (keys, 3): seen, clicked, converted."""

    def __init__(self) -> None:
        self.counts = np.zeros((1, 3), np.int64)

    def add(self, kind: int, keys: np.ndarray, times: np.ndarray) -> None:
        """Add to the counts of some versions, each named once."""
        missing = int(keys.max(initial=0)) + 1 - len(self.counts)
        if missing > 0:
            more = max(missing, len(self.counts))
            self.counts = np.concatenate([self.counts, np.zeros((more, 3), np.int64)])
        self.counts[keys, kind] += times

    def of(self, keys: np.ndarray) -> np.ndarray:
        """Return the counts of a few versions by their keys, int64 (n, 3); 0 is nobody's key."""
        size = len(self.counts)
        return self.counts[[key if key < size else 0 for key in keys.tolist()]]

    def to_bytes(self) -> bytes:
        """Return the counts of those that have any."""
        keys = np.flatnonzero(self.counts.any(axis=1))
        return np.column_stack([keys, self.counts[keys]]).astype("<i8").tobytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> "Rates":
        """Return the rates that `to_bytes` returned."""
        rows = np.frombuffer(state, "<i8").reshape(-1, 4)
        rates = cls()
        for kind in (SEEN, CLICKED, CONVERTED):
            rates.add(kind, rows[:, 0], rows[:, 1 + kind])
        return rates


def click_rates(counts: np.ndarray) -> np.ndarray:
    """Return the expected share of views that are clicked, from counts (…, 3)."""
    return (counts[..., CLICKED] + PRIOR_VIEWS * PRIOR_CTR) / (counts[..., SEEN] + PRIOR_VIEWS)


def conversion_rates(counts: np.ndarray) -> np.ndarray:
    """Return the expected share of clicks that are followed by a conversion, from counts (…, 3)."""
    liked = counts[..., CONVERTED] + PRIOR_CLICKS * PRIOR_CVR
    return np.minimum(1.0, liked / (counts[..., CLICKED] + PRIOR_CLICKS))
