"""A market of campaigns and requests made from real posts, for the benchmarks of ads.

Keywords are words and pairs of words of the posts, words by the square root of how many posts have
them; requests are later posts. Vectors are sums of a random one for each word, so that texts with
the same words are near to each other.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from rookery.ads.offers import AdRequest
from rookery.ads.select.words import words_of
from rookery.ads.terms.objects import (
    Ad,
    AdBook,
    AdVersion,
    Advertiser,
    Campaign,
    Cap,
    Group,
    GroupBid,
    Keyword,
    Targeting,
)

TWEETS = Path(__file__).parents[2] / "shared" / "data" / "tweets_ira" / "tweets.parquet"
DIMENSIONS, ADS, KEYWORDS, ADVERTISERS = 64, 2, 5, 997
_VOCABULARY, _LEARNED_FROM = 30_000, 20_000
_CODES = {"English": "en", "Russian": "ru"}
_LINK = re.compile(r"https?://\S+")


@dataclass(frozen=True)
class WordVectors:
    """An embedder that adds up a random vector for each word that it knows."""

    vectors: np.ndarray
    places: dict[str, int]
    digest: str = "words"
    dimensions: int = DIMENSIONS
    weight: float = 1.0

    def embed(self, texts):
        return np.stack([self.of(words_of(text)) for text in texts])

    def of(self, words: list[str]) -> np.ndarray:
        """Return the vector of some words, (dimensions,)."""
        known = [self.places[word] for word in words if word in self.places]
        total = self.vectors[known].sum(axis=0) if known else np.zeros(DIMENSIONS, np.float32)
        length = float(np.linalg.norm(total))
        return total / length if length else total


class Source:
    """The posts, their words, and what is made of them."""

    def __init__(self, path: Path = TWEETS) -> None:
        text, language = _columns(pq.read_schema(path).names)
        table = next(pq.ParquetFile(path).iter_batches(60_000, columns=[text, language]))
        self.texts = [_LINK.sub("", one)[:280] for one in table[text].to_pylist()]
        self.languages = [_CODES.get(one or "", None) for one in table[language].to_pylist()]
        counts: Counter[str] = Counter()
        pairs: Counter[tuple[str, str]] = Counter()
        for one in self.texts[:_LEARNED_FROM]:
            words = words_of(one)
            counts.update(set(words))
            pairs.update(pairwise(words))
        common = [(word, n) for word, n in counts.most_common(_VOCABULARY) if len(word) > 2]
        self.words = [word for word, _ in common]
        weights = np.sqrt([n for _, n in common])
        self._chances = weights / weights.sum()
        self.pairs = [
            " ".join(pair) for pair, n in pairs.items()
            if 4 <= n <= 200 and all(len(word) > 3 for word in pair)
        ]  # fmt: skip
        vectors = np.random.default_rng(2).standard_normal((len(self.words), DIMENSIONS))
        places = {word: n for n, word in enumerate(self.words)}
        self.embedder = WordVectors(vectors.astype(np.float32), places)

    def book(self, count: int) -> AdBook:
        """Return so many campaigns, with one group and two ads each."""
        draw = np.random.default_rng(1)
        drawn = draw.choice(len(self.words), (count, KEYWORDS), p=self._chances)
        is_pair = draw.random((count, KEYWORDS)) < 0.2
        which = draw.integers(0, len(self.pairs), (count, KEYWORDS))
        excluded = draw.choice(len(self.words), (count, 2), p=self._chances)
        has_excluded, is_capped, is_daily = (draw.random(count) < x for x in (0.3, 0.5, 0.7))
        languages = draw.choice(3, count, p=[0.4, 0.45, 0.15])
        bids = draw.integers(5, 80, count) * 10_000
        campaigns, groups, ads, versions = [], [], [], []
        for n, bid in enumerate(bids.tolist()):
            name = f"c{n}"
            words = [
                self.pairs[w] if pair else self.words[k]
                for k, pair, w in zip(drawn[n], is_pair[n], which[n], strict=True)
            ]
            target = Targeting(
                keywords=tuple(map(Keyword, dict.fromkeys(words))),
                excluded=tuple(Keyword(self.words[k]) for k in excluded[n])
                if has_excluded[n]
                else (),
                languages=((), ("en",), ("ru",))[languages[n]],
            )
            campaigns.append(
                Campaign(
                    id=name,
                    advertiser=f"a{n % ADVERTISERS}",
                    budget_micros=bid * 1_000,
                    daily_budget_micros=bid * 200 if is_daily[n] else None,
                    caps=(Cap("campaign", 3, 86_400),) if is_capped[n] else (),
                    paused=False,
                )
            )
            groups.append(Group(name, name, GroupBid(bid), target, paused=False))
            for ad in range(ADS):
                one = f"{name}-{ad}"
                ads.append(Ad(one, name, paused=False))
                title = f"{words[0].title()} number {ad}"
                versions.append(
                    AdVersion(one, 1, title, " ".join(words), "https://example.com", "approved")
                )
        advertisers = tuple(Advertiser(f"a{n}", f"Advertiser {n}") for n in range(ADVERTISERS))
        return AdBook(
            "EUR", advertisers, (), tuple(campaigns), tuple(groups), tuple(ads), tuple(versions)
        )

    def requests(self, count: int, places: int = 3, viewers: int = 5_000) -> Iterator[AdRequest]:
        """Yield requests beside later posts, with their vectors."""
        for n in range(count):
            at = _LEARNED_FROM + n % (len(self.texts) - _LEARNED_FROM)
            text = self.texts[at]
            vector = self.embedder.of(words_of(text))
            yield AdRequest(
                text, self.languages[at], f"v{n % viewers}", places=places, vector=vector
            )


def _columns(names: list[str]) -> tuple[str, str]:
    text = next(n for n in ("text", "content", "tweet_text") if n in names)
    language = next(n for n in ("language", "tweet_language", "lang") if n in names)
    return text, language
