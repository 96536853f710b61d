"""Writers: those who make sentences of evidence, one protocol for all.

`Extraction`, the default, quotes sentences of posts. A writer that makes sentences of its own is in
`generation.py`. Whatever a writer returns is checked in `answer.py` before anybody sees it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from rookery.search.answers.evidence import Evidence, Passage
from rookery.search.ranking.scores import jaccard

MOST_SENTENCES = 4
MOST_CITATIONS = 3

_SAME_SENTENCE = 0.8  # Jaccard overlap of terms from which two sentences count as the same
_DIVERSITY = 0.2
_LEAST_SHARE_OF_BEST = 0.9  # of the best sentence's fit; what fits less adds more noise than news


@dataclass(frozen=True)
class Sentence:
    """One sentence of an answer; `citations` are 1-based places among its posts."""

    text: str
    citations: tuple[int, ...]


class AnswerWriter(Protocol):
    """A writer of answers."""

    @property
    def name(self) -> str:
        """Return the name under which an answer tells who wrote it."""

    def write(self, question: str, evidence: Evidence) -> Iterable[Sentence]:
        """Return sentences, each citing posts of the evidence by their 1-based places.

        Raises `RookeryError` if it cannot write now.
        """


@dataclass(frozen=True)
class _Claim:
    """A sentence, and the passages that say nearly the same, the best of them first."""

    best: Passage
    posts: tuple[int, ...]


class Extraction:
    """The writer that quotes: sentences of posts that fit the question and do not repeat."""

    name = "extract"

    def write(self, question: str, evidence: Evidence) -> list[Sentence]:
        """Return the best sentences, each with the posts that have it.

        An author's second post is quoted only where there are too few authors.
        """
        least = _LEAST_SHARE_OF_BEST * max((p.fit for p in evidence.passages), default=0.0)
        claims = _merged([p for p in evidence.passages if p.fit >= least])
        chosen: list[_Claim] = []
        for turn in sorted({claim.best.turn for claim in claims}):
            chosen += _chosen([c for c in claims if c.best.turn == turn], chosen)
        return [
            Sentence(claim.best.text, tuple(n + 1 for n in claim.posts[:MOST_CITATIONS]))
            for claim in chosen
        ]


EXTRACTION = Extraction()


def _merged(passages: Sequence[Passage]) -> list[_Claim]:
    """Merge passages with nearly the same words: the first text, with the posts of all."""
    merged: list[_Claim] = []
    for passage in passages:
        for n, old in enumerate(merged):
            if jaccard(old.best.terms, passage.terms) >= _SAME_SENTENCE:
                merged[n] = replace(old, posts=tuple(dict.fromkeys((*old.posts, passage.post))))
                break
        else:
            merged.append(_Claim(passage, (passage.post,)))
    return merged


def _chosen(claims: Sequence[_Claim], before: Sequence[_Claim]) -> list[_Claim]:
    """Choose claims that fit the question and differ from those chosen before.

    Maximal marginal relevance (Carbonell and Goldstein 1998).
    """
    chosen = list(before)
    left = list(claims)
    while left and len(chosen) < MOST_SENTENCES:
        values = [
            (1 - _DIVERSITY) * c.best.fit
            - _DIVERSITY * max((jaccard(c.best.terms, d.best.terms) for d in chosen), default=0.0)
            for c in left
        ]
        chosen.append(left.pop(int(np.argmax(values))))
    return chosen[len(before) :]
