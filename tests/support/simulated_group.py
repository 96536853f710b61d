"""A simulated day of one group's ads, of which one is much better and began unlucky."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

USUAL_CTR, BEST = 0.02, 0
RATES = np.array([3 * USUAL_CTR, *[USUAL_CTR] * 4])
BEGUN_VIEWS = np.array([40, *[50] * 4])
BEGUN_CLICKS = np.array([0, *[1] * 4])  # forty views of the best ad have had no click
VIEWS_OF_A_DAY, CLICKS_COME_AFTER = 20_000, 200  # views

Chooser = Callable[[np.ndarray, np.ndarray, np.random.Generator], int]
"""Returns the ad to show, from each ad's views and clicks."""


@dataclass(frozen=True)
class Day:
    """What came of a day: clicks that were missed, and the best ad's share of the last quarter."""

    regret_clicks: float
    best_at_end: float


def a_day(choose: Chooser, seed: int) -> Day:
    """Simulate a day; what a view came to is known so many views later."""
    random = np.random.default_rng(seed)
    views, clicks = BEGUN_VIEWS.copy(), BEGUN_CLICKS.copy()
    shown = np.empty(VIEWS_OF_A_DAY, dtype=np.int64)
    for start in range(0, VIEWS_OF_A_DAY, CLICKS_COME_AFTER):
        now = slice(start, start + CLICKS_COME_AFTER)
        shown[now] = [choose(views, clicks, random) for _ in range(CLICKS_COME_AFTER)]
        clicked = random.random(CLICKS_COME_AFTER) < RATES[shown[now]]
        views += np.bincount(shown[now], minlength=len(RATES))
        clicks += np.bincount(shown[now][clicked], minlength=len(RATES))
    regret = (RATES[BEST] - RATES[shown]).sum()
    return Day(float(regret), float((shown[-VIEWS_OF_A_DAY // 4 :] == BEST).mean()))


def without_exploring(views: np.ndarray, clicks: np.ndarray, random: np.random.Generator) -> int:
    """Return the ad of the highest rate so far, with the prior that exploring has."""
    from rookery.ads.predict.exploring import PRIOR_VIEWS
    from rookery.ads.predict.ftrl import PRIOR_CTR

    return int(np.argmax((clicks + PRIOR_VIEWS * PRIOR_CTR) / (views + PRIOR_VIEWS)))
