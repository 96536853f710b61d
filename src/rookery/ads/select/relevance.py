"""Relevance: whether an ad belongs beside a text, by its keywords and by the meaning of both.

A keyword or phrase matches if its words are in the text, side by side and in this order. If none
matches, the ad may still fit by meaning: the text's vector is nearer to the ad's than the keywords
of *other* campaigns are, by `SIMILAR_ENOUGH` standard deviations. This scale needs no tuning: it is
the same for every embedder, a trained one or the untrained twin. With fewer than `LEAST_BACKGROUND`
foreign keywords there is no such scale, and only keywords count. What else a campaign needs to take
part is in `eligibility.py`.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rookery.ads.terms.campaigns import Campaign
from rookery.core.protocols import Embedder
from rookery.core.scripts import UNSPACED

SIMILAR_ENOUGH = 3.0
LEAST_BACKGROUND = 12

# A word; in scripts that are written without spaces, each character is one.
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")


@dataclass(frozen=True)
class Relevance:
    """The fit of an ad to a text: keywords found there, and similarity in standard deviations."""

    keywords: tuple[str, ...]
    similarity: float

    @property
    def is_enough(self) -> bool:
        """Return whether the ad fits well enough to be shown."""
        return bool(self.keywords) or self.similarity >= SIMILAR_ENOUGH

    @property
    def quality(self) -> float:
        """Return the factor for the auction.

        It is 0.5 for an ad that barely fits by meaning, and 1 for a keyword or twice the similarity
        needed.
        """
        return 1.0 if self.keywords else max(0.5, min(1.0, self.similarity / (2 * SIMILAR_ENOUGH)))


@dataclass(frozen=True)
class CampaignVectors:
    """Campaigns prepared for comparing texts with them; row i belongs to campaign i.

    phrases: each campaign's keywords, spaced as in a text. vectors: float32 (campaigns,
    dimensions). usual, spread: mean and standard deviation of the similarity of other campaigns'
    keywords to each ad, float64 (campaigns,); spread is infinite where there are too few.
    """

    campaigns: tuple[Campaign, ...]
    phrases: tuple[dict[str, str], ...]
    vectors: np.ndarray
    usual: np.ndarray
    spread: np.ndarray

    def compare(self, words: Sequence[str], vector: np.ndarray) -> list[Relevance]:
        """Return how each campaign fits a text, given by its words and its vector (dimensions,)."""
        similarity = (self.vectors @ vector - self.usual) / self.spread
        text = _spaced(words)
        return [
            Relevance(
                tuple(term for term, phrase in phrases.items() if phrase in text), float(value)
            )
            for phrases, value in zip(self.phrases, similarity, strict=True)
        ]


def words_of(text: str) -> list[str]:
    """Return the words of a text, in one case and one encoding of each character."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def matching_terms(words: Sequence[str], terms: Sequence[str]) -> tuple[str, ...]:
    """Return those words and phrases of `terms` that are found among the words of a text."""
    text = _spaced(words)
    return tuple(term for term in terms if _spaced(words_of(term)) in text)


def _spaced(words: Sequence[str]) -> str:
    """Join words with spaces around each, so that a phrase matches at whole words only."""
    return f" {' '.join(words)} "


def prepare(campaigns: Sequence[Campaign], embedder: Embedder) -> CampaignVectors:
    """Embed campaigns, and measure how similar the keywords of others are to each."""
    vectors = embedder.embed([f"{c.title}. {c.body} {' '.join(c.keywords)}" for c in campaigns])
    keywords = sorted({keyword for campaign in campaigns for keyword in campaign.keywords})
    similarity = vectors @ embedder.embed(keywords).T if keywords else np.zeros((len(campaigns), 0))
    usual, spread = np.zeros(len(campaigns)), np.full(len(campaigns), np.inf)
    for row, campaign in enumerate(campaigns):
        foreign = similarity[row, [k not in campaign.keywords for k in keywords]].astype(np.float64)
        if len(foreign) >= LEAST_BACKGROUND and foreign.std() > 0:
            usual[row], spread[row] = foreign.mean(), foreign.std()
    phrases = tuple(
        {keyword: _spaced(words_of(keyword)) for keyword in c.keywords} for c in campaigns
    )
    return CampaignVectors(tuple(campaigns), phrases, vectors, usual, spread)
