"""Answering: quotes sentences of posts, each with the posts that it comes from.

Nothing is generated. Posts are retrieved and cut into sentences; those that fit the question best
and do not repeat each other are taken, and for each the posts with this sentence are named. Only
posts whose authors let them be used for answers are taken, and all are checked again just before
the answer is returned. If nothing fits, a note explains it. How posts are retrieved is in
`engine/retrieve.py`, how they are checked in `visible.py`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rookery.search.engine.analysis import STOP_WORDS, exact_tokens, stem, without_links
from rookery.search.engine.retrieve import by_some_words, statistics_of
from rookery.search.index import SearchIndex
from rookery.search.query import Query, words_query
from rookery.search.ranking import scores as rank
from rookery.search.search import Hit, shown
from rookery.search.visible import still_visible

MOST_SENTENCES = 4
MOST_CITATIONS = 3
_POSTS = 40
_DEPTH = 200
_NEEDED_COVERAGE = 0.6  # of the question's words, weighted by how rare they are
_SAME_SENTENCE = 0.8  # Jaccard overlap of terms from which two sentences count as the same
_VECTOR_SHARE = 0.2
_DIVERSITY = 0.4
_MOST_CHARACTERS = 300
_LEAST_WORDS = 4

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"”’')\]]*\s+|(?<=[。！？])|\n+")

QUESTION_WORDS = STOP_WORDS | frozenset(
    "what who whom whose when where why how which do does did say says said think thinks thought "
    "know known people posts post about tell me you your i we us our my can could should would "
    "were has have had any some from happen happened happening happens "
    "was wer wo wann wie warum welche der die das den dem ein eine ist sind war hat über von zu "
    "und "
    "que qué quien quién donde dónde cuando cuándo como cómo cual cuál el la los las un una de "
    "del en es son por y "
    "qui quoi où quand comment pourquoi quel quelle le les des du est sont "
    "что кто где когда как почему какой какая какие о об в на и с по за это говорит говорят "
    "думают люди".split()
)
"""Words that only ask, in five languages; an answer has to be about a question's other words."""


@dataclass(frozen=True)
class Sentence:
    """One sentence of an answer; `citations` are 1-based places in the answer's sources."""

    text: str
    citations: tuple[int, ...]


@dataclass(frozen=True)
class Answer:
    """An answer: sentences with their sources, or neither and a note with the reason."""

    sentences: tuple[Sentence, ...]
    sources: tuple[Hit, ...]
    note: str | None = None


@dataclass(frozen=True)
class _Claim:
    """A sentence and the posts that have it, the best of them first."""

    text: str
    terms: frozenset[str]
    posts: tuple[int, ...]
    score: float


def ask(index: SearchIndex, question: str) -> Answer:
    """Answer a question in the words of posts: at most four sentences, each with its sources."""
    query = _topic(question)
    if not query.terms:
        return Answer((), (), "The question has no word that posts could be searched for.")
    index = index.as_of_now()
    if index.segment.posts == 0:
        return Answer((), (), "There are no posts to answer from.")
    candidates = by_some_words(index.segment, index.embedder, query, _DEPTH)
    hits = shown(index, candidates, _POSTS, "answers", fold_copies=False)
    chosen = _chosen(_claims(index, query, hits))
    return _cited(index, query, chosen, hits)


def _topic(question: str) -> Query:
    """Return the words that an answer has to be about: all, if there are only question words."""
    words = list(exact_tokens(question))
    topic = [word for word in words if word not in QUESTION_WORDS]
    return words_query(" ".join(topic or words))


def _claims(index: SearchIndex, query: Query, hits: Sequence[Hit]) -> list[_Claim]:
    """Return the sentences that cover enough of the question, best first, equal ones merged."""
    found = [(place, text) for place, hit in enumerate(hits) for text in sentences(hit.text)]
    terms = [frozenset(stem(list(exact_tokens(text)))) for _, text in found]
    counts = statistics_of(index.segment, query.terms)
    # Squared, so that small words cover little in any language, also without a list of them.
    wanted = {term: counts.idf(term) ** 2 for term in query.terms}
    coverage = [sum(wanted[t] for t in wanted if t in own) / sum(wanted.values()) for own in terms]
    fitting = [n for n, covered in enumerate(coverage) if covered >= _NEEDED_COVERAGE]
    near = _nearness(index, query.text, [found[n][1] for n in fitting])
    scored = [
        (coverage[n] * (1 - _VECTOR_SHARE) + _VECTOR_SHARE * near[i], n)
        for i, n in enumerate(fitting)
    ]
    scored.sort(key=lambda s: (-s[0], s[1]))
    return _merged([_Claim(found[n][1], terms[n], (found[n][0],), score) for score, n in scored])


def sentences(text: str) -> list[str]:
    """Return the sentences of a post that may answer, without links and leading mentions.

    >>> sentences("@bob The tram is late again. Why? See https://t.co/x")
    ['The tram is late again.']
    """
    lines = [without_links(line) for line in text.splitlines()]
    parts = [part.strip() for line in lines for part in _SENTENCE_END.split(line)]
    return [part for part in parts if _may_answer(part)]


def _may_answer(sentence: str) -> bool:
    """Return whether a sentence is whole, not too long, and no question itself."""
    is_whole = len(list(exact_tokens(sentence))) >= _LEAST_WORDS and "\ufffd" not in sentence
    return is_whole and len(sentence) <= _MOST_CHARACTERS and not sentence.endswith(("?", "？"))


def _nearness(index: SearchIndex, question: str, texts: Sequence[str]) -> np.ndarray:
    """Return the cosine of each text with the question, of shape (len(texts),)."""
    if not texts:
        return np.zeros(0)
    vectors = index.embedder.embed([question, *texts])
    return vectors[1:] @ vectors[0]


def _merged(claims: Sequence[_Claim]) -> list[_Claim]:
    """Merge claims with nearly the same words: the first text, with the posts of all."""
    merged: list[_Claim] = []
    for claim in claims:
        for n, old in enumerate(merged):
            if rank.jaccard(old.terms, claim.terms) >= _SAME_SENTENCE:
                merged[n] = replace(old, posts=tuple(dict.fromkeys(old.posts + claim.posts)))
                break
        else:
            merged.append(claim)
    return merged


def _chosen(claims: Sequence[_Claim]) -> list[_Claim]:
    """Choose claims that fit the question and differ from those chosen before.

    Maximal marginal relevance (Carbonell and Goldstein 1998).
    """
    chosen: list[_Claim] = []
    left = list(claims)
    while left and len(chosen) < MOST_SENTENCES:
        overlap = [max((rank.jaccard(c.terms, d.terms) for d in chosen), default=0.0) for c in left]
        values = [
            (1 - _DIVERSITY) * c.score - _DIVERSITY * o for c, o in zip(left, overlap, strict=True)
        ]
        chosen.append(left.pop(int(np.argmax(values))))
    return chosen


def _cited(
    index: SearchIndex, query: Query, chosen: Sequence[_Claim], hits: Sequence[Hit]
) -> Answer:
    """Return the answer with its sources, less the posts that were forgotten meanwhile.

    If no sentence is left, the note is the one for a question that no post answers.
    """
    wanted = list(dict.fromkeys(n for claim in chosen for n in claim.posts[:MOST_CITATIONS]))
    visible = still_visible(index.home, [hits[n] for n in wanted], "answers", index.lake_version)
    sources = [n for n, is_visible in zip(wanted, visible, strict=True) if is_visible]
    number = {n: place for place, n in enumerate(sources, 1)}
    cited = [
        (c.text, tuple(number[n] for n in c.posts[:MOST_CITATIONS] if n in number)) for c in chosen
    ]
    quoted = tuple(Sentence(text, citations) for text, citations in cited if citations)
    return Answer(quoted, tuple(hits[n] for n in sources), None if quoted else _why_not(query))


def _why_not(query: Query) -> str:
    return (
        f"No post says enough about {', '.join(dict.fromkeys(query.text.split()))} to answer from."
    )
