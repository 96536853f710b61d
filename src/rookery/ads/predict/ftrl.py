"""FTRL: a click predictor that learns online, by logistic regression over hashed features.

It is trained by FTRL-Proximal with a learning rate for each coordinate (McMahan et al. 2013,
algorithm 1), needs no model and no torch, and is the `ClickPredictor` (core/protocols.py) that the
ad server uses unless it is given another. Its inputs are made in `features.py`; which views it
learns from, and when, is in `learning.py`.
"""

import numpy as np

from rookery.core.protocols import FEATURE_BUCKETS

PRIOR_CTR = 0.02  # the prediction for an ad of which nothing is known
RATE = 0.3  # α of the paper
ROWS_AT_ONCE = 32  # views whose gradients make one step: in so few, no feature moves far
_BETA, _RIDGE = 1.0, 1.0  # β and λ₂ of the paper; λ₁ is 0
_RECORD = np.dtype([("bucket", "<u4"), ("z", "<f8"), ("n", "<f8")])


class FtrlPredictor:
    """A linear model over buckets, which predicts `prior_ctr` for everything until it learns.

    `z` and `n` of algorithm 1 are its state, and the weights follow from them; each float64
    (buckets + 1,). The last place is for `NO_FEATURE` and stays 0.
    """

    name = "ftrl"

    def __init__(self, rate: float = RATE, prior_ctr: float = PRIOR_CTR) -> None:
        self._rate, self._prior_ctr = rate, prior_ctr
        self._prior_logit = float(np.log(prior_ctr / (1 - prior_ctr)))
        self._z = np.zeros(FEATURE_BUCKETS + 1)
        self._n = np.zeros(FEATURE_BUCKETS + 1)
        self._weights = np.zeros(FEATURE_BUCKETS + 1)
        self._gradients = np.zeros(FEATURE_BUCKETS + 1)  # 0 but while a step is made

    def predict(self, buckets: np.ndarray) -> np.ndarray:
        """Return the probability of a click on each view; buckets: int64 (views, features)."""
        return sigmoid(self._prior_logit + self._weights[buckets].sum(axis=1))

    def learn(self, buckets: np.ndarray, clicked: np.ndarray) -> None:
        """Learn from views in this order, in steps of `ROWS_AT_ONCE`; clicked: bool (views,)."""
        for start in range(0, len(buckets), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            self._step(buckets[rows], clicked[rows])

    def _step(self, buckets: np.ndarray, clicked: np.ndarray) -> None:
        """Make the step of algorithm 1 for the sum of some views' gradients."""
        errors = self.predict(buckets) - clicked
        places = buckets.ravel()
        np.add.at(self._gradients, places, np.repeat(errors, buckets.shape[1]))
        gradients, n = self._gradients[places], self._n[places]
        self._gradients[places] = 0.0
        grown = n + gradients**2
        sigma = (np.sqrt(grown) - np.sqrt(n)) / self._rate
        # a bucket that occurs twice is written twice, with the same number
        self._z[places] += gradients - sigma * self._weights[places]
        self._n[places] = grown
        self._z[-1] = self._n[-1] = 0.0
        self._weigh(places)

    def _weigh(self, places: np.ndarray) -> None:
        """Set the weights of buckets whose state has changed."""
        shrink = (_BETA + np.sqrt(self._n[places])) / self._rate + _RIDGE
        self._weights[places] = -self._z[places] / shrink

    def to_bytes(self) -> bytes:
        """Return the state, as one record for each bucket that a view ever touched."""
        touched = np.flatnonzero(self._n)
        records = np.empty(len(touched), dtype=_RECORD)
        records["bucket"], records["z"], records["n"] = touched, self._z[touched], self._n[touched]
        return records.tobytes()

    def from_bytes(self, state: bytes) -> "FtrlPredictor":
        """Return a new predictor with a state that `to_bytes` returned."""
        records = np.frombuffer(state, dtype=_RECORD)
        predictor = type(self)(self._rate, self._prior_ctr)
        touched = records["bucket"].astype(np.int64)
        predictor._z[touched], predictor._n[touched] = records["z"], records["n"]
        predictor._weigh(touched)
        return predictor


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of logits, never 0 or 1."""
    return 1.0 / (1.0 + np.exp(-np.clip(logits, -35.0, 35.0)))
