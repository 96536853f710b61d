"""Answers: verbatim, cited, allowed."""

import pytest

from rookery.core.context import Context
from rookery.posts.forget import forget
from rookery.search import ask as module
from rookery.search.ask import ask


@pytest.fixture
def town(indexed, a_post):
    return indexed(
        a_post(
            "@bob The night tram is late again. Nice weather though, is it not?",
            id="1",
            author="ada",
        ),
        a_post("the night tram is late again!! https://t.co/x", id="2", author="eve"),
        a_post("Why is the night tram late?", id="3", author="bob"),
        a_post("Bought a new bicycle in the market today", id="4", author="bob"),
        a_post(
            "Snow on the line made the night tram late, the driver told us", id="5", author="kim"
        ),
    )


def test_sentences_stand_in_the_posts_they_cite(town):
    found = ask(town, "Why is the night tram late?")
    assert found.sentences
    assert found.note is None
    for sentence in found.sentences:
        for number in sentence.citations:
            assert "night tram" in found.sources[number - 1].text
        assert sentence.text in found.sources[sentence.citations[0] - 1].text


def test_a_sentence_that_several_posts_say_cites_them_all_and_a_question_answers_nothing(town):
    found = ask(town, "night tram late")
    cited = [[found.sources[n - 1].id for n in s.citations] for s in found.sentences]
    assert sorted(map(sorted, cited)) == [["1", "2"], ["5"]]


def test_where_nothing_fits_a_note_says_so(town, indexed):
    for question in ("Who won the chess tournament?", "zeppelin", "bicycle zeppelin balloon"):
        found = ask(town, question)
        assert (found.sentences, found.sources) == ((), ())
        assert "No post says enough about" in found.note
    assert "no word" in ask(town, " ?! ").note


def test_only_posts_whose_authors_let_them_be_used_for_answers(indexed, a_post):
    index = indexed(
        a_post("The harbour ferry leaves at noon today", id="no", consent_answers=False),
        a_post("The harbour ferry leaves at nine or ten", id="yes"),
    )
    assert [h.id for h in ask(index, "harbour ferry").sources] == ["yes"]


def test_a_post_forgotten_while_the_answer_is_made_is_not_in_it(home, town, monkeypatch):
    chosen = module._chosen

    def forget_meanwhile(claims):
        forget(home, ["1"], ["kim"], Context())
        return chosen(claims)

    monkeypatch.setattr(module, "_chosen", forget_meanwhile)
    found = ask(town, "night tram late")
    assert [h.id for h in found.sources] == ["2"]
    assert [s.citations for s in found.sentences] == [(1,)]


def test_an_index_without_posts_answers_with_a_note(indexed, a_post):
    assert ask(indexed(a_post(visibility="direct")), "rooks").note
