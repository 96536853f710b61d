"""Features: what is known of showing an ad beside a text, as numbers for a click predictor.

A feature is a short text such as `ad:harbour-tea`. It is hashed into one of 2**BITS buckets, and
only the bucket's number is stored: the ledger must not hold the words of a query. How a predictor
uses the buckets is in `ftrl.py`.
"""

import zlib
from collections.abc import Iterable, Sequence

import numpy as np

BITS = 18
MOST_WORDS = 12  # of a text; further words add noise and time


def ad_features(
    campaign: str,
    words: Sequence[str],
    keywords: Sequence[str],
    language: str | None,
    similarity: float,
) -> tuple[str, ...]:
    """Return the features of a view: the ad alone, and the ad with each thing around it."""
    level = f"similar:{max(-2, min(6, round(similarity)))}"
    around = [level, f"language:{language}", *(f"keyword:{word}" for word in keywords)]
    around += [f"word:{word}" for word in dict.fromkeys(words[:MOST_WORDS])]
    return ("all", level, f"ad:{campaign}", *(f"ad:{campaign}|{thing}" for thing in around))


def hash_features(features: Iterable[str]) -> np.ndarray:
    """Return the distinct buckets of some features, sorted; int64 of shape (buckets,)."""
    return np.array(
        sorted({zlib.crc32(feature.encode()) >> (32 - BITS) for feature in features}),
        dtype=np.int64,
    )
