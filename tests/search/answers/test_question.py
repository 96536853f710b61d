"""What is a question, and what it is about."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.search.answers.question import is_question, topic_of


@pytest.mark.parametrize(
    "text",
    [
        "Why is the night tram late?",
        "when does the regatta start",
        "is the harbour closed",
        "seed swap on Sunday?",
        "What do people say about #WorldCup",
        "¿Dónde está el mercado?",
        "wann beginnt die Regatta",
        "Quand commence la régate ?",
        "когда начнётся регата",
        "市場はどこですか？",
    ],
)
def test_questions(text):
    assert is_question(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "?!", "tram", "tram?", "night tram", "night tram late", "why?", "who is it?",
        "from:ada night tram?", "why tram -late", "tram OR bus OR ferry?", "(a OR b) why late?",
        "was tram late since:2026-01-01", "will smith slap",
    ],
)  # fmt: skip
def test_searches(text):
    assert not is_question(text)


@given(st.text(max_size=60))
def test_no_text_is_refused(text):
    assert is_question(text) in (True, False)
    topic_of(text)


def test_a_topic_has_the_words_that_do_not_merely_ask():
    assert topic_of("What do people say about the night tram?").text == "night tram"
    assert topic_of("¿Qué es el mercado?").text == "mercado"
    assert topic_of("who is it").terms
