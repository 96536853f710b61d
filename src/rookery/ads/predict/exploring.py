"""Exploring: showing what is not known well, and knowing how likely each choice was.

Two ways, both pure functions with the random generator as an argument. Thompson sampling chooses
among the ads of one group: each is as likely to be shown as it is likely to be the best, given its
views and clicks. A uniform slice shows any eligible ad for a small share of the views, so that
every ad has a known chance and `offpolicy.py` can judge other ways of choosing. Neither holds an
auction.
"""

from dataclasses import dataclass

import numpy as np

from rookery.ads.predict.ftrl import PRIOR_CTR
from rookery.ads.predict.rates import PRIOR_VIEWS

UNIFORM_SHARE = 0.01


@dataclass(frozen=True)
class Choice:
    """An ad by its place, and how likely it was to be chosen; explored: by the uniform slice."""

    place: int
    propensity: float
    explored: bool


def sample_ad(
    views: np.ndarray, clicks: np.ndarray, random: np.random.Generator, prior_ctr: float = PRIOR_CTR
) -> int:
    """Return the place of the ad to show, by Thompson sampling.

    views, clicks: how often each ad of the group was seen and clicked, (ads,). prior_ctr: the rate
    that is expected of an ad before it was seen.
    """
    liked = clicks + PRIOR_VIEWS * prior_ctr
    ignored = np.maximum(views - clicks, 0) + PRIOR_VIEWS * (1 - prior_ctr)
    return int(np.argmax(random.beta(liked, ignored)))


def with_uniform_slice(
    best: int, ads: int, random: np.random.Generator, share: float = UNIFORM_SHARE
) -> Choice:
    """Return the best ad, or for a share of the views any of the ads, with its propensity.

    The propensity is that of this choice, given which ad was best: weights by it are right even if
    the best was itself drawn by chance.
    """
    explored = bool(random.random() < share)
    place = int(random.integers(ads)) if explored else best
    return Choice(place, share / ads + (1 - share) * (place == best), explored)


def chosen_ad(
    allowed: np.ndarray,
    views: np.ndarray,
    clicks: np.ndarray,
    random: np.random.Generator,
    share: float = UNIFORM_SHARE,
) -> Choice:
    """Return the ad to show of a group: by Thompson sampling, or for a share of the views any.

    allowed: places of the ads that may be shown, (n,); all of them if there are none. views,
    clicks: of all ads of the group, (ads,).
    """
    if len(views) == 1:
        return Choice(0, 1.0, False)
    places = allowed if len(allowed) else np.arange(len(views))
    best = sample_ad(views[places], clicks[places], random)
    choice = with_uniform_slice(best, len(places), random, share)
    return Choice(int(places[choice.place]), choice.propensity, choice.explored)
