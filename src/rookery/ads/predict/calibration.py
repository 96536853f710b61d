"""Calibration: predicted clicks as many as real ones, and how far a prediction is from that.

A `CalibratedPredictor` wraps any other click predictor. Each view that it learns from was predicted
before, so that these predictions are of views not seen: the newest quarter of them is kept, its
older half fits Platt's line (a logistic regression on the logit), and the line is used only if it
lowers the log loss of the newer half. Kept are predictions and clicks, no features. `evaluate.py`
uses the measures on whole click logs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rookery.ads.predict.ftrl import sigmoid
from rookery.core.protocols import ClickPredictor

MOST_KEPT = 1 << 16
LEAST_CLICKS = 50  # and as many views without a click, in either half: fewer tell no line
ROWS_AT_ONCE = 256  # are predicted before they are learned from
BINS = 10
_MAGIC = b"rookery-platt-1\n"
_HEADER = np.dtype([("seen", "<i8"), ("due", "<i8"), ("slope", "<f8"), ("intercept", "<f8")])
_KEPT = np.dtype([("logit", "<f4"), ("clicked", "?")])


@dataclass(frozen=True)
class Platt:
    """A line that logits are put through."""

    slope: float = 1.0
    intercept: float = 0.0

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, in the same order of size."""
        return sigmoid(self.slope * logits_of(probabilities) + self.intercept)


def logits_of(probabilities: np.ndarray) -> np.ndarray:
    """Return the logits of probabilities; none is infinite."""
    clipped = np.clip(probabilities, 1e-12, 1 - 1e-12)
    return np.log(clipped) - np.log1p(-clipped)


def fit_platt(probabilities: np.ndarray, clicked: np.ndarray) -> Platt | None:
    """Return the line under which the clicks are likeliest; None if it would turn the order."""
    from sklearn.linear_model import LogisticRegression  # a second to load: only who fits pays

    fitted = LogisticRegression(C=1e6).fit(logits_of(probabilities)[:, None], clicked)
    slope, intercept = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return Platt(slope, intercept) if slope > 0 else None


def helpful_platt(probabilities: np.ndarray, clicked: np.ndarray) -> Platt | None:
    """Return the line of predictions in order of time, if it lowers held-out log loss; or None.

    It is judged as fitted on the older half, by the newer half; returned is that of both.
    """
    older, newer = np.split(np.arange(len(clicked)), [len(clicked) // 2])
    for half in (clicked[older], clicked[newer]):
        if min(half.sum(), len(half) - half.sum()) < LEAST_CLICKS:
            return None
    tried = fit_platt(probabilities[older], clicked[older])
    if tried is None:
        return None
    before = log_loss(probabilities[newer], clicked[newer])
    if log_loss(tried.apply(probabilities[newer]), clicked[newer]) >= before:
        return None
    return fit_platt(probabilities, clicked)


class CalibratedPredictor:
    """A click predictor whose predictions are put through a line, once one helps."""

    def __init__(self, base: ClickPredictor) -> None:
        self._base, self._platt = base, Platt()
        self._seen, self._due = 0, ROWS_AT_ONCE
        self._kept = np.empty(0, dtype=_KEPT)

    @property
    def name(self) -> str:
        """Return the name of the predictor inside: what the store has for it is gone on with."""
        return self._base.name

    @property
    def platt(self) -> Platt | None:
        """Return the line in use, if there is one."""
        return None if self._platt == Platt() else self._platt

    def predict(self, buckets: np.ndarray) -> np.ndarray:
        """Return the calibrated probability of a click on each view."""
        predicted = self._base.predict(buckets)
        return predicted if self.platt is None else self._platt.apply(predicted)

    def learn(self, buckets: np.ndarray, clicked: np.ndarray) -> None:
        """Learn from views in this order; each is predicted before it is learned from."""
        for start in range(0, len(buckets), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            self._keep(self._base.predict(buckets[rows]), clicked[rows])
            self._base.learn(buckets[rows], clicked[rows])
            if self._seen >= self._due:
                self._fit()

    def _keep(self, predicted: np.ndarray, clicked: np.ndarray) -> None:
        new = np.empty(len(clicked), dtype=_KEPT)
        new["logit"], new["clicked"] = logits_of(predicted), clicked
        self._seen += len(new)
        kept = max(ROWS_AT_ONCE, min(MOST_KEPT, self._seen // 4))
        self._kept = np.concatenate([self._kept, new])[-kept:]

    def _fit(self) -> None:
        """Fit the line; it is due again when there is a tenth more to fit it on."""
        predicted = sigmoid(self._kept["logit"].astype(np.float64))
        self._platt = helpful_platt(predicted, self._kept["clicked"]) or Platt()
        self._due = self._seen + max(ROWS_AT_ONCE, self._seen // 10)

    def to_bytes(self) -> bytes:
        """Return the state, that of the predictor inside at its end."""
        header = np.array(
            [(self._seen, self._due, self._platt.slope, self._platt.intercept)], dtype=_HEADER
        )
        kept = self._kept.tobytes()
        length = len(kept).to_bytes(8, "little")
        return b"".join([_MAGIC, header.tobytes(), length, kept, self._base.to_bytes()])

    def from_bytes(self, state: bytes) -> "CalibratedPredictor":
        """Return a new predictor with a state of this kind, or of the predictor inside alone."""
        if not state.startswith(_MAGIC):
            return CalibratedPredictor(self._base.from_bytes(state))
        place = len(_MAGIC) + _HEADER.itemsize
        header = np.frombuffer(state[len(_MAGIC) : place], dtype=_HEADER)[0]
        end = place + 8 + int.from_bytes(state[place : place + 8], "little")
        predictor = CalibratedPredictor(self._base.from_bytes(state[end:]))
        predictor._kept = np.frombuffer(state[place + 8 : end], dtype=_KEPT)
        predictor._seen, predictor._due = int(header["seen"]), int(header["due"])
        predictor._platt = Platt(float(header["slope"]), float(header["intercept"]))
        return predictor


def log_loss(probabilities: np.ndarray, clicked: np.ndarray) -> float:
    """Return the mean negative log likelihood of the clicks, in nats a view."""
    right = np.where(clicked, probabilities, 1 - probabilities)
    return float(-np.log(np.clip(right, 1e-15, 1)).mean())


def auc(probabilities: np.ndarray, clicked: np.ndarray) -> float:
    """Return the chance that a clicked view is predicted above another; NaN without either kind."""
    from sklearn.metrics import roc_auc_score

    if clicked.all() or not clicked.any():
        return float("nan")
    return float(roc_auc_score(clicked, probabilities))


def calibration(probabilities: np.ndarray, clicked: np.ndarray) -> Mapping[str, float]:
    """Return predicted clicks for each real one, and the mean error over bins of equal size."""
    order = np.argsort(probabilities, kind="stable")
    bins = [one for one in np.array_split(order, BINS) if len(one)]
    errors = [abs(probabilities[b].mean() - clicked[b].mean()) * len(b) for b in bins]
    return {
        "predicted_by_real": float(probabilities.sum() / max(1, clicked.sum())),
        "expected_error": float(sum(errors) / max(1, len(clicked))),
    }
