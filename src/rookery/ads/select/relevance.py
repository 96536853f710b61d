"""Relevance: whether an ad belongs beside a text, by its keywords and by the meaning of both.

A keyword or phrase matches where its words stand in the text in this order. Where none does, the ad
may still fit by meaning: the text's vector is nearer to the ad's than the keywords of *other*
campaigns are, by `SIMILAR_ENOUGH` standard deviations. This scale needs no tuning: it is the same
for every embedder, a trained one or the untrained twin. With fewer than `LEAST_BACKGROUND` foreign
keywords there is no such scale, and only keywords count.
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
    """How an ad fits a text: the keywords found there, and the similarity in standard
    deviations.
    """

    keywords: tuple[str, ...]
    similarity: float

    @property
    def is_enough(self) -> bool:
        return bool(self.keywords) or self.similarity >= SIMILAR_ENOUGH

    @property
    def quality(self) -> float:
        """The auction's factor for it, from 0.5 (fits by meaning, barely) to 1 (a keyword, or very
        similar).
        """
        return 1.0 if self.keywords else max(0.5, min(1.0, self.similarity / (2 * SIMILAR_ENOUGH)))


@dataclass(frozen=True)
class CampaignVectors:
    """Campaigns with what comparing a text to them needs; row i belongs to campaign i.

    phrases: each campaign's keywords, as they stand in a text. vectors: float32 (campaigns,
    dimensions). usual, spread: mean and standard deviation of the similarity of other campaigns'
    keywords to each ad, float64 (campaigns,); spread is infinite where there are too few.
    """

    campaigns: tuple[Campaign, ...]
    phrases: tuple[dict[str, str], ...]
    vectors: np.ndarray
    usual: np.ndarray
    spread: np.ndarray

    def compare(self, words: Sequence[str], vector: np.ndarray) -> list[Relevance]:
        """How each campaign fits a text, given as its words and its vector."""
        similarity = (self.vectors @ vector - self.usual) / self.spread
        text = _spaced(words)
        return [
            Relevance(
                tuple(term for term, phrase in phrases.items() if phrase in text), float(value)
            )
            for phrases, value in zip(self.phrases, similarity, strict=True)
        ]


def words_of(text: str) -> list[str]:
    """The words of a text, without regard to case or to how characters are encoded."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def matching_terms(words: Sequence[str], terms: Sequence[str]) -> tuple[str, ...]:
    """Those of some words and phrases that stand among the words of a text."""
    text = _spaced(words)
    return tuple(term for term in terms if _spaced(words_of(term)) in text)


def _spaced(words: Sequence[str]) -> str:
    """Words such that a phrase is found among them only at whole words."""
    return f" {' '.join(words)} "


def prepare(campaigns: Sequence[Campaign], embedder: Embedder) -> CampaignVectors:
    """Embed campaigns, and measure for each how similar foreign keywords are to it."""
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
