"""Evidence: whose words they are, how much is enough, and from how many authors."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.search.answers.evidence import (
    ENOUGH_POSTS,
    Evidence,
    Found,
    Refusal,
    evidence_for,
    needed_strength,
    own_words,
    sentences,
    span_of,
)
from rookery.search.hits import Hit
from rookery.search.query import words_query

MOMENT = datetime(2026, 3, 4, tzinfo=UTC)


def a_hit(name: str, text: str, author: str = "") -> Hit:
    return Hit(name, author, text, MOMENT, "en", 1.0, {})


def found(*hits: Hit, posts: int = 10, each: int = 5) -> Found:
    return Found(hits, posts, {"tram": each, "late": each}, lambda term: 2.0)


TOPIC = words_query("tram late")


def test_what_stands_behind_rt_is_not_the_author_s():
    assert own_words("RT @bob: the tram is late") == ""
    assert own_words("so true! RT @bob the tram is late") == "so true!"
    assert own_words("rt  the tram is late") == ""
    assert own_words("the artist of the START") == "the artist of the START"


def test_a_repost_is_no_evidence():
    made = evidence_for(TOPIC, found(a_hit("1", "RT @kim: the tram is late again today")))
    assert isinstance(made, Refusal)


@pytest.mark.parametrize(
    "text",
    ["#tram #late #night #snow", "late tram", "is the tram late?", "the tram is late \ufffd"],
)
def test_tags_scraps_questions_and_broken_text_are_no_sentences(text):
    assert sentences(text) == []


def test_a_sentence_is_whole():
    text = "The tram was late, at 7.30 p.m. or so. We walked home instead, my friends"
    assert all(sentence in text for sentence in sentences(text))


def test_too_few_posts_are_no_evidence_in_a_large_collection():
    hit = a_hit("1", "the tram is late again today")
    assert isinstance(evidence_for(TOPIC, found(hit)), Evidence)
    refused = evidence_for(TOPIC, found(hit, posts=100_000))
    assert refused == Refusal("Too few posts are about tram, late to answer from.")


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_larger_collection_needs_no_less_and_never_more_than_enough(one, other):
    low, high = sorted((one, other))
    assert 0 <= needed_strength(low) <= needed_strength(high) <= ENOUGH_POSTS


authors = st.lists(st.sampled_from(["", "ada", "bob", "eve", "kim"]), max_size=30)


@given(authors)
def test_evidence_has_two_posts_of_an_author_at_most_and_every_author_before_a_second(names):
    hits = [
        a_hit(str(n), f"the tram number{n} is late again", name) for n, name in enumerate(names)
    ]
    made = evidence_for(TOPIC, found(*hits))
    if not names:
        assert isinstance(made, Refusal)
        return
    taken = [post.author for post in made.posts]
    known = [author for author in taken if author]
    assert all(known.count(author) <= 2 for author in known)
    assert set(taken) == set(names)
    first = [author for n, author in enumerate(taken) if author and author not in taken[:n]]
    before_second = taken[: len(first) + names.count("")]
    assert set(first) <= set(before_second)
    for passage in made.passages:
        assert passage.text in made.posts[passage.post].text
    assert span_of(made.posts) == (MOMENT, MOMENT)


def test_the_span_of_nothing_is_none():
    assert span_of([]) == (None, None)
