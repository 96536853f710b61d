"""Answering: sentences with the posts that they come from, or the reason why there is no answer.

`ask` gathers evidence (`evidence.py`), lets a writer make sentences of it (`writers.py`,
`generation.py`), drops those that cite no given post or that the cited posts do not support
(`support.py`), and checks just before it returns that each cited post may still be shown. A post is
data: what it orders changes nothing. Answers that are kept to be shown again are in `kept.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from rookery.core.errors import RookeryError
from rookery.search.answers.evidence import (
    DEPTH,
    Evidence,
    Found,
    Refusal,
    evidence_for,
    nothing_about,
    span_of,
    terms_of,
)
from rookery.search.answers.question import topic_of
from rookery.search.answers.support import is_supported
from rookery.search.answers.writers import EXTRACTION, AnswerWriter, Sentence
from rookery.search.hits import Hit, shown
from rookery.search.index import PostIndex
from rookery.search.query import Query
from rookery.search.ranking.scores import idf, jaccard
from rookery.search.scope import KnownReader
from rookery.search.visible import still_visible

_TRIES = 3  # an answer is made anew if a post that it cites was hidden while it was made


@dataclass(frozen=True, kw_only=True)
class CitedPost(Hit):
    """A post that an answer cites; cited: the sentence of it that says so."""

    cited: str


@dataclass(frozen=True)
class Answer:
    """An answer: sentences with their sources, or neither and a note with the reason.

    since, until: the times of the earliest and the latest source. authors: how many wrote them.
    writer: who made the sentences: `extract`, `model` or `endpoint`. unsupported: how many of the
    writer's were dropped, since posts do not bear them out, also where posts are quoted instead.
    """

    sentences: tuple[Sentence, ...] = ()
    sources: tuple[CitedPost, ...] = ()
    note: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    authors: int = 0
    writer: str = EXTRACTION.name
    unsupported: int = 0


def ask(
    index: PostIndex,
    question: str,
    writer: AnswerWriter = EXTRACTION,
    reader: KnownReader | None = None,
) -> Answer:
    """Answer a question from posts: at most four sentences, each with its sources.

    Where the writer fails or says nothing that posts support, sentences of posts are quoted, and a
    note reports it. reader: whoever asks, who gets no post out of their scope; None for a stranger.
    """
    topic = topic_of(question)
    if not topic.terms:
        return Answer(note="The question has no word that posts could be searched for.")
    for _ in range(_TRIES):
        index = index.as_of_now(reader)
        answer = _answered(index, question, topic, writer)
        if all(still_visible(index.home, answer.sources, "answers", index.log)):
            return answer
    return Answer(note=nothing_about(topic))


def _answered(index: PostIndex, question: str, topic: Query, writer: AnswerWriter) -> Answer:
    found = gathered(index, topic)
    if found.posts == 0:
        return Answer(note="There are no posts to answer from.")
    evidence = evidence_for(topic, found)
    if isinstance(evidence, Refusal):
        return Answer(note=evidence.reason)
    made = _written(question, evidence, writer)
    return _with_sources(made, evidence) if made.sentences else Answer(note=nothing_about(topic))


def gathered(index: PostIndex, topic: Query) -> Found:
    """Return what an index holds of a topic; the one place where answers touch the engine."""
    posts = index.posts
    if posts == 0:
        return Found((), 0, {}, lambda term: 0.0)
    candidates = index.with_some(topic, DEPTH, is_learned=False)
    hits = shown(index, candidates, DEPTH, "answers")
    posts_with = index.posts_with(topic.terms).tolist()
    return Found(
        tuple(hits),
        posts,
        dict(zip(topic.terms, posts_with, strict=True)),
        lambda term: float(idf(posts, index.posts_with([term]))[0]),
    )


@dataclass(frozen=True)
class _Made:
    """Supported sentences that cite the evidence, who wrote them, and what is to be told of it.

    unsupported: how many others were dropped.
    """

    sentences: tuple[Sentence, ...]
    writer: str
    unsupported: int
    note: str | None = None


def _written(question: str, evidence: Evidence, writer: AnswerWriter) -> _Made:
    written: Sequence[Sentence] = ()
    note = "The model wrote nothing that the posts bear out; these are sentences of posts."
    try:
        written = tuple(writer.write(question, evidence))
    except RookeryError as error:
        note = f"The model did not answer: {error.what}. These are sentences of posts."
    kept = tuple(supported(written, evidence))
    dropped = len(written) - len(kept)
    if kept or writer is EXTRACTION:
        return _Made(kept, writer.name, dropped)
    quoted = tuple(supported(EXTRACTION.write(question, evidence), evidence))
    return _Made(quoted, EXTRACTION.name, dropped, note)


def supported(written: Iterable[Sentence], evidence: Evidence) -> Iterable[Sentence]:
    """Yield the sentences that cite posts of the evidence, and no others, which support them."""
    for sentence in written:
        given = all(1 <= n <= len(evidence.posts) for n in sentence.citations)
        if sentence.citations and given:
            texts = [evidence.posts[n - 1].text for n in sentence.citations]
            if is_supported(sentence.text, texts, evidence.idf):
                yield sentence


def _with_sources(made: _Made, evidence: Evidence) -> Answer:
    """Return the answer, its sources numbered in the order in which they are cited."""
    places = list(dict.fromkeys(n for sentence in made.sentences for n in sentence.citations))
    number = {n: place for place, n in enumerate(places, 1)}
    sources = tuple(_source(evidence, n - 1, made.sentences) for n in places)
    since, until = span_of(sources)
    return Answer(
        tuple(Sentence(s.text, tuple(number[n] for n in s.citations)) for s in made.sentences),
        sources,
        made.note,
        since,
        until,
        len({source.author for source in sources}),
        made.writer,
        made.unsupported,
    )


def _source(evidence: Evidence, post: int, sentences: Sequence[Sentence]) -> CitedPost:
    """Return a cited post with the sentence of it that is nearest to what cites it."""
    hit = evidence.posts[post]
    citing = [terms_of(s.text) for s in sentences if post + 1 in s.citations]
    own = [p for p in evidence.passages if p.post == post]
    nearest = max(own, key=lambda p: max(jaccard(p.terms, terms) for terms in citing))
    return CitedPost(**{f.name: getattr(hit, f.name) for f in fields(Hit)}, cited=nearest.text)
