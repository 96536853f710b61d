"""Kept answers: made once, and dead with any post that they cite."""

import pytest

from rookery.core.context import Context
from rookery.posts.consent import consent
from rookery.posts.forget import forget
from rookery.search.answers.kept import KeptAnswers
from rookery.search.answers.writers import Extraction

QUESTION = "Why is the night tram late?"


class Counting(Extraction):
    def __init__(self):
        self.written = 0

    def write(self, question, evidence):
        self.written += 1
        return super().write(question, evidence)


@pytest.fixture
def town(indexed, a_post):
    return indexed(
        a_post("Snow on the line made the night tram late", id="1", author="kim"),
        a_post("The night tram is late because of a strike", id="2", author="ada"),
        a_post("Bought a new bicycle in the market today", id="3", author="bob"),
    )


@pytest.fixture
def kept():
    return KeptAnswers(Counting(), most=2)


def test_a_question_is_answered_once(town, kept):
    first = kept.ask(town, QUESTION)
    assert kept.ask(town, f"  {QUESTION.upper()} ") is first
    assert kept.writer.written == 1


def test_the_answer_dies_with_a_post_that_it_cites(home, town, kept):
    assert {s.id for s in kept.ask(town, QUESTION).sources} == {"1", "2"}
    forget(home, ["1"], [], Context())
    assert {s.id for s in kept.ask(town, QUESTION).sources} == {"2"}
    forget(home, ["2"], [], Context())
    assert kept.ask(town, QUESTION).sources == ()


def test_the_answer_dies_with_the_consent_of_an_author(home, town, kept):
    kept.ask(town, QUESTION)
    consent(home, ["kim"], {"answers": "no"}, Context())
    assert {s.id for s in kept.ask(town, QUESTION).sources} == {"2"}


def test_those_asked_for_longest_ago_are_let_go_and_refusals_are_not_kept(town, kept):
    kept.ask(town, QUESTION)
    kept.ask(town, "Who saw a zeppelin?")
    kept.ask(town, "new bicycle market")
    kept.ask(town, QUESTION)
    assert kept.writer.written == 2
    kept.ask(town, "night tram strike")
    kept.ask(town, "new bicycle market")
    assert kept.writer.written == 4
