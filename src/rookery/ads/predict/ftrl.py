"""Click prediction: how likely a view becomes a click, learnt online from the views that were.

Logistic regression over hashed features, trained by FTRL-Proximal with a rate for each coordinate
(McMahan et al. 2013, algorithm 1). It is a `ClickPredictor` (core/protocols.py). A feature is a
short text such as `ad:harbour-tea`; it lives on as a bucket number only, and the ledger keeps those
numbers, not the words of a query. What is learnt when, is in `learning.py`.
"""

import zlib
from collections.abc import Iterable, Sequence

import numpy as np

BITS = 18
PRIOR_CTR = 0.02  # what an ad of which nothing is known is believed to get
_PRIOR_LOGIT = float(np.log(PRIOR_CTR / (1 - PRIOR_CTR)))
_RATE, _BETA, _RIDGE = 0.3, 1.0, 1.0
_RECORD = np.dtype([("bucket", "<u4"), ("z", "<f8"), ("n", "<f8")])


def hash_features(features: Iterable[str]) -> np.ndarray:
    """The distinct buckets of some features, sorted; int64 of shape (at most len(features),)."""
    return np.array(
        sorted({zlib.crc32(feature.encode()) >> (32 - BITS) for feature in features}),
        dtype=np.int64,
    )


def ad_features(
    campaign: str,
    words: Sequence[str],
    keywords: Sequence[str],
    language: str | None,
    similarity: float,
):
    """What is known of showing a campaign beside a text: the ad, and the ad with each thing around
    it.
    """
    level = f"similar:{max(-2, min(6, round(similarity)))}"
    around = [level, f"language:{language}", *(f"keyword:{word}" for word in keywords)]
    around += [f"word:{word}" for word in dict.fromkeys(words[:MOST_WORDS])]
    return ("all", level, f"ad:{campaign}", *(f"ad:{campaign}|{thing}" for thing in around))


MOST_WORDS = 12


class FtrlPredictor:
    """The model: `z` and `n` of algorithm 1, float64 of shape (2**BITS,). Begins at `PRIOR_CTR` for
    everything.
    """

    def __init__(self) -> None:
        self._z = np.zeros(1 << BITS)
        self._n = np.zeros(1 << BITS)

    def predict(self, features: Sequence[Sequence[str]]) -> np.ndarray:
        """The probability of a click for each list of features, float64 of shape
        (len(features),).
        """
        return np.array(
            [self.predict_buckets(hash_features(names)) for names in features], dtype=np.float64
        )

    def learn(self, features: Sequence[str], clicked: bool) -> None:
        """Take in one view and whether it was clicked."""
        self.learn_buckets(hash_features(features), clicked)

    def predict_buckets(self, buckets: np.ndarray) -> float:
        """The probability of a click for one set of buckets."""
        return float(_sigmoid(_PRIOR_LOGIT + self._weights(buckets).sum()))

    def learn_buckets(self, buckets: np.ndarray, clicked: bool) -> None:
        """The same as `learn`, for features that are buckets already."""
        weights = self._weights(buckets)
        gradient = float(_sigmoid(_PRIOR_LOGIT + weights.sum())) - float(clicked)
        n = self._n[buckets]
        sigma = (np.sqrt(n + gradient**2) - np.sqrt(n)) / _RATE
        self._z[buckets] += gradient - sigma * weights
        self._n[buckets] = n + gradient**2

    def _weights(self, buckets: np.ndarray) -> np.ndarray:
        return -self._z[buckets] / ((_BETA + np.sqrt(self._n[buckets])) / _RATE + _RIDGE)

    def to_bytes(self) -> bytes:
        """The state, as one record for each bucket that was ever touched."""
        touched = np.flatnonzero(self._n)
        records = np.empty(len(touched), dtype=_RECORD)
        records["bucket"], records["z"], records["n"] = touched, self._z[touched], self._n[touched]
        return records.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "FtrlPredictor":
        """The predictor that `to_bytes` described."""
        records = np.frombuffer(data, dtype=_RECORD)
        predictor = cls()
        predictor._z[records["bucket"]] = records["z"]
        predictor._n[records["bucket"]] = records["n"]
        return predictor


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + np.exp(-max(-35.0, min(35.0, x))))
