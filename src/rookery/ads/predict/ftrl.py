"""FTRL: a click predictor that learns online, by logistic regression over hashed features.

It is trained by FTRL-Proximal with a learning rate for each coordinate (McMahan et al. 2013,
algorithm 1), needs no model and no torch, and is the `ClickPredictor` (core/protocols.py) that the
ad server uses unless it is given another. Its inputs are made in `features.py`; which views it
learns from, and when, is in `learning.py`.
"""

import numpy as np

from rookery.ads.predict.features import BITS

PRIOR_CTR = 0.02  # the prediction for an ad of which nothing is known
_PRIOR_LOGIT = float(np.log(PRIOR_CTR / (1 - PRIOR_CTR)))
_RATE, _BETA, _RIDGE = 0.3, 1.0, 1.0  # α, β and λ₂ of the paper; λ₁ is 0
_RECORD = np.dtype([("bucket", "<u4"), ("z", "<f8"), ("n", "<f8")])


class FtrlPredictor:
    """A linear model over buckets, which predicts `PRIOR_CTR` for everything until it learns.

    `z` and `n` of algorithm 1 are its state, float64 of shape (2**BITS,).
    """

    name = "ftrl"

    def __init__(self) -> None:
        self._z = np.zeros(1 << BITS)
        self._n = np.zeros(1 << BITS)

    def predict(self, buckets: np.ndarray) -> float:
        """Return the probability of a click on a view with these buckets."""
        return float(_sigmoid(_PRIOR_LOGIT + self._weights(buckets).sum()))

    def learn(self, buckets: np.ndarray, clicked: bool) -> None:
        """Learn from one view and whether it was clicked."""
        weights = self._weights(buckets)
        gradient = float(_sigmoid(_PRIOR_LOGIT + weights.sum())) - float(clicked)
        n = self._n[buckets]
        sigma = (np.sqrt(n + gradient**2) - np.sqrt(n)) / _RATE
        self._z[buckets] += gradient - sigma * weights
        self._n[buckets] = n + gradient**2

    def _weights(self, buckets: np.ndarray) -> np.ndarray:
        return -self._z[buckets] / ((_BETA + np.sqrt(self._n[buckets])) / _RATE + _RIDGE)

    def to_bytes(self) -> bytes:
        """Return the state, as one record for each bucket that a view ever touched."""
        touched = np.flatnonzero(self._n)
        records = np.empty(len(touched), dtype=_RECORD)
        records["bucket"], records["z"], records["n"] = touched, self._z[touched], self._n[touched]
        return records.tobytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> "FtrlPredictor":
        """Return a new predictor with a state that `to_bytes` returned."""
        records = np.frombuffer(state, dtype=_RECORD)
        predictor = cls()
        predictor._z[records["bucket"]] = records["z"]
        predictor._n[records["bucket"]] = records["n"]
        return predictor


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + np.exp(-max(-35.0, min(35.0, x))))
