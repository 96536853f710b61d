"""The built-in town: a seeded generator of a small, plausible platform, with a ground truth to test against.

Its people have interests, write in four languages, answer one another, and like what they care for.
Some send spam, copy, write down a telephone number, keep posts to their followers, or say no to one
use. The same config gives the same posts, byte for byte, on every machine.

What there is to say is in `town_topics.py` and `town_english.py` with its siblings.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rookery.posts.town_topics import TOPIC_NAMES, TOPICS, Advert, Fact, Topic

__all__ = ["TOPICS", "Advert", "Fact", "Topic", "TownConfig", "interests"]

_INTERESTS = 1  # the streams of randomness, so that more of one thing leaves the others alone


@dataclass(frozen=True, kw_only=True)
class TownConfig:
    """How large a town, and which one. `posts` is about how many there will be, all kinds together."""

    seed: int = 1
    authors: int = 900
    posts: int = 36_000


def author_names(config: TownConfig) -> list[str]:
    """The people of the town, in a fixed order."""
    return [f"{_NAMES[n % len(_NAMES)]}_{n // len(_NAMES) + 1}" for n in range(config.authors)]


def interests(config: TownConfig) -> Mapping[str, Mapping[str, float]]:
    """How much each author cares for each topic: weights that sum to 1, most of it on one to three topics."""
    random = np.random.default_rng([config.seed, _INTERESTS])
    weights = random.dirichlet(np.full(len(TOPIC_NAMES), 0.15), config.authors)
    return {
        name: dict(zip(TOPIC_NAMES, map(float, row), strict=True))
        for name, row in zip(author_names(config), weights, strict=True)
    }


_NAMES = (
    "ada", "bruno", "carmen", "dora", "emil", "fatou", "greta", "hugo", "ines", "jonas", "karla", "luis", "mila",
    "noor", "otto", "pia", "quentin", "rosa", "sami", "tilda", "ugo", "vera", "wanda", "xenia", "yusuf", "zoe",
)  # fmt: skip
