"""Off-policy estimates: what another way of choosing ads would earn, from a log of this one.

Three estimates of clicks a view: inverse propensity scoring (IPS), the same divided by the sum of
the weights (SNIPS), and doubly robust (DR), which is right if either propensities or modelled
clicks are. Pure functions over arrays (Dudík et al. 2014; Swaminathan and Joachims 2015). Each has
a 95% interval by the spread of its terms. The log's propensities have to be true: a log made with
`exploring.py` says its own.
"""

from dataclasses import dataclass

import numpy as np

from rookery.core.errors import UsageError

Z_95 = 1.959963984540054
FOLDS = 2  # clicks are modelled on the other fold
PRIOR_VIEWS = 10.0  # of an ad beyond its own, at the mean rate of its position


@dataclass(frozen=True)
class ChoiceLog:
    """A log of choices: which item stood where, whether it was clicked, how likely it was chosen.

    Each is of shape (views,).
    """

    items: np.ndarray
    positions: np.ndarray
    clicked: np.ndarray
    propensities: np.ndarray


@dataclass(frozen=True)
class Policy:
    """A way to choose: the chance of each item at each position, float64 (positions, items).

    `items` and `positions` name the rows and columns, in rising order. views: how many views the
    chances were counted in, at each position; None if they are known without counting.
    """

    items: np.ndarray
    positions: np.ndarray
    chances: np.ndarray
    views: np.ndarray | None = None


@dataclass(frozen=True)
class Estimate:
    """Clicks a view, with the 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PolicyJudgement:
    """A policy judged by another's log, beside the clicks a view that both logs had themselves.

    effective_views: how many views of the policy itself the weighted log is worth.
    """

    ips: Estimate
    snips: Estimate
    dr: Estimate
    of_log: Estimate
    of_policy_log: Estimate
    views: int
    effective_views: float

    def rows(self) -> list[tuple[str, Estimate]]:
        """Return the estimates with their names in words."""
        return [
            ("IPS", self.ips),
            ("SNIPS", self.snips),
            ("doubly robust", self.dr),
            ("the log itself", self.of_log),
            ("the policy's own log", self.of_policy_log),
        ]


def judge(log: ChoiceLog, policy_log: ChoiceLog) -> PolicyJudgement:
    """Return what the policy that made one log would have earned, by another log."""
    policy = counted_policy(policy_log, log)
    missing = np.setdiff1d(log.positions, policy_log.positions)
    if len(missing):
        raise UsageError(
            f"the policy's log has no view at position {missing[0]}, which the other log has",
            hint="Compare logs of the same positions",
        )
    unlogged = np.setdiff1d(policy_log.items, log.items)
    if len(unlogged):
        raise UsageError(
            f"the policy chooses item {unlogged[0]}, which the other log never shows",
            hint="Nothing can be said of what was not tried",
        )
    return PolicyJudgement(
        **estimates(log, policy),
        of_log=mean_clicks(log),
        of_policy_log=mean_clicks(policy_log),
        views=len(log.items),
        effective_views=effective_views(log, policy),
    )


def counted_policy(log: ChoiceLog, like: ChoiceLog) -> Policy:
    """Return the policy that made a log, as counted in it.

    like: the log to be weighted; its items and positions are those of the policy too.
    """
    items = np.unique(np.concatenate([log.items, like.items]))
    positions = np.unique(np.concatenate([log.positions, like.positions]))
    counts = np.zeros((len(positions), len(items)))
    cell = np.searchsorted(positions, log.positions), np.searchsorted(items, log.items)
    np.add.at(counts, cell, 1)
    views = counts.sum(axis=1)
    chances = counts / np.maximum(views, 1)[:, None]
    return Policy(items, positions, chances, views)


def estimates(log: ChoiceLog, policy: Policy) -> dict[str, Estimate]:
    """Return the clicks a view that a policy would have had, by each way of estimating."""
    cell = _cells(log, policy)
    weights = policy.chances[cell] / log.propensities
    if not (weights * log.clicked).any():
        return dict.fromkeys(("ips", "snips", "dr"), _nothing(weights))
    modelled = _modelled_clicks(log, policy, cell)
    clicked = log.clicked.astype(np.float64)
    folds = _folds(len(clicked))
    direct = (policy.chances * modelled).sum(axis=2)[folds, cell[0]]
    robust = direct + weights * (clicked - modelled[folds, cell[0], cell[1]])
    normal = float((weights * clicked).sum() / weights.sum())
    around = weights * (clicked - normal) / weights.mean()
    counted = _counted_variance(log, policy, cell)
    return {
        "ips": _estimate(float((weights * clicked).mean()), weights * clicked, counted),
        "snips": _estimate(normal, around, counted),
        "dr": _estimate(float(robust.mean()), robust, counted),
    }


def effective_views(log: ChoiceLog, policy: Policy) -> float:
    """Return how many views of the policy itself the weighted log is worth."""
    weights = policy.chances[_cells(log, policy)] / log.propensities
    return float(weights.sum() ** 2 / max((weights**2).sum(), 1e-300))


def mean_clicks(log: ChoiceLog) -> Estimate:
    """Return the clicks a view of a log itself."""
    clicked = log.clicked.astype(np.float64)
    if not log.clicked.any():
        return _nothing(np.ones(len(clicked)))
    return _estimate(float(clicked.mean()), clicked, 0.0)


def _estimate(value: float, terms: np.ndarray, further_variance: float) -> Estimate:
    """Return an estimate that is the mean of terms, with an interval on the scale of logarithms.

    Rates of rare clicks err upwards further than downwards; intervals as wide on both sides would
    miss the truth above them too often.
    """
    error = float(np.sqrt(terms.var() / max(1, len(terms) - 1) + further_variance))
    if value <= 0:  # doubly robust estimates may fall below 0
        return Estimate(value, value - Z_95 * error, value + Z_95 * error)
    factor = float(np.exp(min(700.0, Z_95 * error / value)))
    return Estimate(value, value / factor, value * factor)


def _nothing(weights: np.ndarray) -> Estimate:
    """Return the estimate of a log without clicks: such a log is seen in 2.5% from this rate on."""
    return Estimate(0.0, 0.0, float(-np.log(0.025) * weights.max() / len(weights)))


def _cells(log: ChoiceLog, policy: Policy) -> tuple[np.ndarray, np.ndarray]:
    """Return the place of each view in the policy's chances."""
    return (
        np.searchsorted(policy.positions, log.positions),
        np.searchsorted(policy.items, log.items),
    )


def _folds(views: int) -> np.ndarray:
    """Return the fold of each view: drawn, as items or positions of a log may take turns."""
    return np.random.default_rng(0).integers(FOLDS, size=views)


def _modelled_clicks(
    log: ChoiceLog, policy: Policy, cell: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return an item's rate of clicks at a position, without the fold (folds, positions, items).

    It is the item's rate over all positions, drawn to the mean, times how much better or worse the
    position is.
    """
    modelled = np.zeros((FOLDS, *policy.chances.shape))
    for fold in range(FOLDS):
        used = _folds(len(log.items)) != fold
        shape = policy.chances.shape
        views, clicks = np.zeros(shape), np.zeros(shape)
        np.add.at(views, (cell[0][used], cell[1][used]), 1)
        np.add.at(clicks, (cell[0][used], cell[1][used]), log.clicked[used])
        mean = clicks.sum() / max(1.0, views.sum())
        of_items = (clicks.sum(0) + PRIOR_VIEWS * mean) / (views.sum(0) + PRIOR_VIEWS)
        expected = (views * of_items).sum(1) + PRIOR_VIEWS * mean
        of_positions = (clicks.sum(1) + PRIOR_VIEWS * mean) / np.where(expected > 0, expected, 1)
        modelled[fold] = np.minimum(1.0, of_positions[:, None] * of_items)
    return modelled


def _counted_variance(log: ChoiceLog, policy: Policy, cell: tuple[np.ndarray, np.ndarray]) -> float:
    """Return the variance that an estimate has because the policy's chances were counted.

    They vary as counts of its own log do; an item that earns as much as the others adds none.
    """
    if policy.views is None:
        return 0.0
    rates = _modelled_clicks(log, policy, cell).mean(axis=0)
    spread = (policy.chances * rates**2).sum(1) - (policy.chances * rates).sum(1) ** 2
    share = np.bincount(cell[0], minlength=len(policy.positions)) / len(log.items)
    return float((share**2 * np.maximum(spread, 0) / np.maximum(policy.views, 1)).sum())
