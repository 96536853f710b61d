"""Evidence: the sentences of posts that an answer may rest on, or the reason why there are none.

A question is refused unless enough is written about it. What a post says is its author's own
sentences: what stands behind "RT" are somebody else's. Everything here is pure: the posts that were
found come in (`answer.py` gathers them), all of them visible and allowed for answers. How an answer
is made of evidence is in `writers.py` and `generation.py`.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rookery.search.answers.question import QUESTION_WORDS
from rookery.search.engine.analysis import same_words_digest, stem, without_links
from rookery.search.engine.words import exact_tokens
from rookery.search.hits import Hit
from rookery.search.query import Query

DEPTH = 200
"""Posts that are looked through for evidence."""
MOST_POSTS = 40
"""Posts that evidence holds at most."""
MOST_OF_AUTHOR = 2
"""Posts of one author among them at most."""
NEEDED_COVERAGE = 0.5
"""The share of a question that a sentence is about at least, its words weighted by rarity."""
ENOUGH_POSTS, ONE_POST_IN = 64, 600
"""The strength that an answer needs: a post for every 600 of the collection, and 64 suffice.

Chosen on TREC Microblog 2011, the same on 2012, and on samples of 30%, 10% and 3% of both: what
words are found together by chance grows with the collection (benchmarks/bench_answers.py).
"""

_LEAST_WORDS, _WHOLE_WORDS, _MOST_CHARACTERS = 4, 6, 300
_PLACE_SCALE = 20  # the place at which a post counts half of the first
_CHATTER_SHARE = 0.9
# Folded words by which people talk to each other of themselves rather than tell something.
_CHATTER = frozenset(
    "i im ive id ill me my mine u ur ya yall lol lmao omg wtf smh haha hahaha".split()
)
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"”’')\]]*\s+|(?<=[。！？])|\n+")
_REPEATED = re.compile(r"(?:^|(?<=\s))\W?RT(?=[\s:@]).*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Found:
    """What a collection holds of a question.

    hits: posts that have some of its words or are near in meaning, best first. posts: how many the
    collection has. posts_with: how many of them have each term of the question. idf: how rare any
    term is.
    """

    hits: tuple[Hit, ...]
    posts: int
    posts_with: Mapping[str, int]
    idf: Callable[[str], float]


@dataclass(frozen=True)
class Passage:
    """A sentence that bears on a question.

    post: its place in the evidence's posts. turn: 0 in its author's best post, 1 in the next.
    fit: how well it suits, from 0 to 1.
    """

    post: int
    turn: int
    text: str
    terms: frozenset[str]
    fit: float


@dataclass(frozen=True)
class Evidence:
    """Posts with sentences that bear on a question, the best sentence first."""

    posts: tuple[Hit, ...]
    passages: tuple[Passage, ...]
    idf: Callable[[str], float]


@dataclass(frozen=True)
class Refusal:
    """The reason why a question is not answered, as a sentence."""

    reason: str


@dataclass(frozen=True)
class Judgment:
    """Sentences about a question, each with its post, the best first, and their strength."""

    passages: tuple[tuple[Hit, Passage], ...]
    strength: float


@dataclass(frozen=True)
class _Statement:
    """A post that says something of its own; coverage: of the question, from 0 to 1."""

    hit: Hit
    place: int
    sentences: tuple[str, ...]
    coverage: float


def evidence_for(topic: Query, found: Found) -> Evidence | Refusal:
    """Return the evidence for a question's topic, or why there is none."""
    judgment = judged(topic, found)
    if not judgment.passages:
        return Refusal(nothing_about(topic))
    if judgment.strength < needed_strength(found.posts):
        return Refusal(f"Too few posts are about {_listed(topic)} to answer from.")
    return _of_many_authors(found, judgment.passages)


def judged(topic: Query, found: Found) -> Judgment:
    """Return the sentences about a topic, and how much is written about it."""
    weights = _weights(topic, found.idf)
    stated = list(_stated(found.hits, weights))
    passages = _passages([s for s in stated if s.coverage >= NEEDED_COVERAGE], weights)
    return Judgment(tuple(passages), strength_of(found, [s.coverage for s in stated]))


def nothing_about(topic: Query) -> str:
    """Return the reason for a question that no post answers."""
    return f"No post says enough about {_listed(topic)} to answer from."


def _listed(topic: Query) -> str:
    return ", ".join(dict.fromkeys(topic.text.split()))


def needed_strength(posts: int) -> float:
    """Return the strength that evidence needs in a collection of a number of posts."""
    return min(ENOUGH_POSTS, posts / ONE_POST_IN)


def strength_of(found: Found, coverages: Sequence[float]) -> float:
    """Return how much is written about a question, as a number of posts.

    It is the geometric mean of two counts: the posts that have a word of the question (itself a
    geometric mean, over the words), and the posts that were found to be about it, each counted by
    the square of its coverage. The first alone takes posts for evidence that have one word of the
    question each; the second alone takes a handful that have all of them by chance.
    """
    logs = [math.log(n + 0.5) for n in found.posts_with.values()]
    written = math.exp(sum(logs) / len(logs))
    return math.sqrt(written * sum(c * c for c in coverages))


def _weights(topic: Query, idf: Callable[[str], float]) -> dict[str, float]:
    """Return a weight for each term of a question; they sum to 1.

    Squared, so that small words count little in any language, also without a list of them.
    """
    squares = {term: idf(term) ** 2 for term in topic.terms}
    total = sum(squares.values())
    return {term: square / total for term, square in squares.items()}


def _coverage(weights: Mapping[str, float], terms: frozenset[str]) -> float:
    return sum(weight for term, weight in weights.items() if term in terms)


def _stated(hits: Sequence[Hit], weights: Mapping[str, float]) -> Iterator[_Statement]:
    """Yield what posts say in their authors' own words; of copies the first alone."""
    seen: set[str] = set()
    for place, hit in enumerate(hits):
        own = own_words(hit.text)
        same = same_words_digest(own)
        if own and same not in seen:
            seen.add(same)
            yield _Statement(hit, place, tuple(sentences(own)), _coverage(weights, terms_of(own)))


def _passages(
    stated: Sequence[_Statement], weights: Mapping[str, float]
) -> list[tuple[Hit, Passage]]:
    """Return sentences that are about enough of the question, each with its post, best first."""
    found = []
    for statement in stated:
        for text in statement.sentences:
            terms = terms_of(text)
            covered = _coverage(weights, terms)
            if covered >= NEEDED_COVERAGE:
                fit = _fit(text, covered, statement.place)
                found.append((statement.hit, Passage(0, 0, text, terms, fit)))
    return sorted(found, key=lambda one: -one[1].fit)


def _fit(text: str, covered: float, place: int) -> float:
    """Return how well a sentence suits an answer, from 0 to 1.

    The post's place counts as much as the coverage; a scrap of a sentence, and one in which its
    writer chats, suits less.
    """
    words = list(exact_tokens(text))
    whole = min(1.0, len(words) / _WHOLE_WORDS)
    told = _CHATTER_SHARE if _CHATTER.intersection(words) else 1.0
    return whole * told * (covered + 1 / (1 + place / _PLACE_SCALE)) / 2


def _of_many_authors(found: Found, passages: Sequence[tuple[Hit, Passage]]) -> Evidence:
    """Return passages of as many authors as there are: first the best post of each, then others.

    An author without a name is unknown, and nobody in particular.
    """
    turns: dict[str, int] = {}
    by_author: dict[str, int] = {}
    for hit, _ in passages:
        if hit.id not in turns:
            turns[hit.id] = by_author.get(hit.author, 0) if hit.author else 0
            by_author[hit.author] = by_author.get(hit.author, 0) + 1
    posts = {hit.id: hit for hit, _ in passages if turns[hit.id] < MOST_OF_AUTHOR}
    taken = sorted(posts.values(), key=lambda hit: turns[hit.id])[:MOST_POSTS]
    number = {hit.id: n for n, hit in enumerate(taken)}
    kept = tuple(
        Passage(number[hit.id], turns[hit.id], p.text, p.terms, p.fit)
        for hit, p in passages
        if hit.id in number
    )
    return Evidence(tuple(taken), kept, found.idf)


def span_of(posts: Sequence[Hit]) -> tuple[datetime | None, datetime | None]:
    """Return the times of the earliest and of the latest post; None twice if there is no post."""
    moments = [post.created for post in posts]
    return min(moments, default=None), max(moments, default=None)


# What a post says
# -------------------------------------------------------------------------------------------------


def own_words(text: str) -> str:
    """Return what an author wrote, without what stands behind "RT", which somebody else did.

    >>> own_words("so true RT @bob: the tram is late")
    'so true'
    """
    return _REPEATED.sub("", text).strip()


def sentences(text: str) -> list[str]:
    """Return the sentences of a post that may answer, without links and leading mentions.

    >>> sentences("@bob The tram is late again. Why? See https://t.co/x")
    ['The tram is late again.']
    """
    return [part for part in split_sentences(text) if _may_answer(part)]


def split_sentences(text: str) -> list[str]:
    """Return all sentences of a post, without links and leading mentions."""
    lines = [without_links(line) for line in text.splitlines()]
    parts = [part.strip() for line in lines for part in _SENTENCE_END.split(line)]
    return [part for part in parts if part]


def _may_answer(sentence: str) -> bool:
    """Return whether a sentence is whole, not too long, says more than tags, and asks nothing."""
    if len(sentence) > _MOST_CHARACTERS or sentence.endswith(("?", "？", "؟")):
        return False
    plain = [w for w in sentence.split() if not w.startswith(("#", "＃", "@", "＠"))]
    is_whole = len(list(exact_tokens(sentence))) >= _LEAST_WORDS and "\ufffd" not in sentence
    return is_whole and 2 * len(plain) >= len(sentence.split())


def terms_of(text: str) -> frozenset[str]:
    """Return the terms of a text, as ranking counts them."""
    return frozenset(stem(list(exact_tokens(text))))


def content_terms(text: str) -> frozenset[str]:
    """Return the terms of a text that say something, without those that only ask or join."""
    return frozenset(stem([word for word in exact_tokens(text) if word not in QUESTION_WORDS]))
