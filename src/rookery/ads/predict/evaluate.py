"""Evaluation: how well a click predictor predicts the views of a click log that it has not seen.

The log is cut into equal folds in its order. Where it tells the time, each fold but the first is
predicted from those before it; where it does not, each from all the others. Which candidate is
used, such as a learning rate, is chosen inside the training part, by the log loss of its last
fifth. Nothing is tuned on what is judged.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from rookery.ads.predict.calibration import CalibratedPredictor, auc, calibration, log_loss
from rookery.ads.predict.ftrl import FtrlPredictor
from rookery.ads.predict.logs import ClickLog
from rookery.core.errors import UsageError
from rookery.core.protocols import ClickPredictor

FOLDS = 3
RATES = (0.0125, 0.025, 0.05, 0.1, 0.2, 0.4)
HELD_OUT = 0.2  # of a training part
LEAST_ROWS_OF_A_FOLD = 100

Made = TypeVar("Made", bound=ClickPredictor)


@dataclass(frozen=True)
class FoldResult:
    """The measures of one fold. chosen: the candidate that was used, by its place."""

    rows: int
    clicks: int
    chosen: int
    auc: float
    log_loss: float
    constant_log_loss: float
    calibrated: bool


@dataclass(frozen=True)
class Evaluation:
    """The measures of a log: means over its folds, and calibration over all that was judged.

    constant_log_loss: of predicting the training part's rate for every view.
    """

    layout: str
    rows: int
    judged: int
    in_time_order: bool
    auc: float
    log_loss: float
    constant_log_loss: float
    calibration: dict[str, float]
    folds: tuple[FoldResult, ...]


def ftrl_candidates(ctr: float) -> list[CalibratedPredictor]:
    """Return FTRL with each learning rate, calibrated. ctr: the rate of clicks to begin with."""
    return [CalibratedPredictor(FtrlPredictor(rate, ctr)) for rate in RATES]


def evaluate(
    log: ClickLog,
    folds: int = FOLDS,
    candidates: Callable[[float], Sequence[ClickPredictor]] = ftrl_candidates,
) -> Evaluation:
    """Return how well the best candidate predicts each fold of a log."""
    results, predicted, judged = [], [], []
    for train, test in split(log, folds):
        ctr = _rate(log.clicked[train])
        chosen, predictor = choose(candidates(ctr), log.buckets[train], log.clicked[train])
        p, clicked = predictor.predict(log.buckets[test]), log.clicked[test]
        results.append(
            FoldResult(
                len(test),
                int(clicked.sum()),
                chosen,
                auc(p, clicked),
                log_loss(p, clicked),
                log_loss(np.full(len(test), ctr), clicked),
                getattr(predictor, "platt", None) is not None,
            )
        )
        predicted.append(p)
        judged.append(clicked)
    return Evaluation(
        log.layout,
        len(log.clicked),
        sum(one.rows for one in results),
        log.times is not None,
        float(np.mean([one.auc for one in results])),
        float(np.mean([one.log_loss for one in results])),
        float(np.mean([one.constant_log_loss for one in results])),
        dict(calibration(np.concatenate(predicted), np.concatenate(judged))),
        tuple(results),
    )


def split(log: ClickLog, folds: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rows to learn from and the rows to be judged by, for each fold."""
    least = folds * LEAST_ROWS_OF_A_FOLD
    if folds < 2 or len(log.clicked) < least:
        raise UsageError(
            f"{len(log.clicked):,} rows cannot be judged in {folds} folds",
            hint=f"Take at least 2 folds and {LEAST_ROWS_OF_A_FOLD} rows for each",
        )
    parts = np.array_split(np.arange(len(log.clicked)), folds)
    for n, test in enumerate(parts):
        if log.times is None:
            yield np.concatenate(parts[:n] + parts[n + 1 :]), test
        elif n:
            yield np.concatenate(parts[:n]), test


def choose(
    candidates: Sequence[Made], buckets: np.ndarray, clicked: np.ndarray
) -> tuple[int, Made]:
    """Train the candidates on all but the last rows, and the one best at those on these too.

    Returns its place and itself.
    """
    known = len(clicked) - int(len(clicked) * HELD_OUT)
    losses = []
    for one in candidates:
        one.learn(buckets[:known], clicked[:known])
        losses.append(log_loss(one.predict(buckets[known:]), clicked[known:]))
    chosen = int(np.argmin(losses))
    candidates[chosen].learn(buckets[known:], clicked[known:])
    return chosen, candidates[chosen]


def _rate(clicked: np.ndarray) -> float:
    """Return the rate of clicks, never 0 or 1."""
    return float((clicked.sum() + 1) / (len(clicked) + 2))
