"""The query language: what is understood, and that nothing is refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.search.query import And, Field, Not, Or, Phrase, Since, Word, parse, words_query


def parts(text):
    return parse(text).root.parts


def test_words_stand_together_unless_or_stands_between():
    assert parts("night tram") == (Word("night"), Word("tram"))
    assert parts("tram OR bus OR ferry late") == (
        Or((Word("tram"), Word("bus"), Word("ferry"))),
        Word("late"),
    )
    assert parts("tram or bus") == (Word("tram"), Word("or"), Word("bus"))


def test_minus_excludes_words_phrases_and_brackets():
    assert parts("-bus") == (Not(Word("bus")),)
    assert parts('-"night bus"') == (Not(Phrase("night bus")),)
    assert parts("-(a OR b)") == (Not(Or((Word("a"), Word("b")))),)
    assert parts("state-of-the-art") == (Word("state-of-the-art"),)


def test_fields_are_read_with_their_signs_in_any_case():
    assert parts("FROM:@Ada lang:EN #Rooks @Bob") == (
        Field("author", "ada"),
        Field("language", "en"),
        Field("tags", "rooks"),
        Field("mentions", "bob"),
    )


def test_days_begin_at_midnight_utc_and_moments_may_have_a_zone():
    assert parts("since:2026-01-31") == (Since(datetime(2026, 1, 31, tzinfo=UTC)),)
    assert parts("since:2026-01-31T12:00:00+02:00") == (
        Since(datetime(2026, 1, 31, 10, tzinfo=UTC)),
    )


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("since:yesterday", "since:yesterday has no date"),
        ("min_likes:many", "min_likes:many has no number"),
        ("near:berlin", "near: is no operator"),
        ("(tram", "a bracket without its other half"),
        ("tram)", "a bracket without its other half"),
        ('tram "late', "a quotation mark without its other half"),
        ("(" * 50 + "tram" + ")" * 50, "nested too deep"),
        ("tram " * 100, "only the first 64 words"),
    ],
)
def test_what_is_not_understood_is_said(text, remark):
    assert remark in parse(text).understood


def test_an_unread_operator_still_finds_by_its_words():
    assert parse("near:berlin").terms == ("near", "berlin")


def test_a_link_is_searched_by_its_host_without_a_remark():
    assert parse("https://www.rooks.org/x").terms == ("rook", "org")
    assert parse("https://www.rooks.org/x").remarks == ()


def test_a_query_reads_back_in_plain_words():
    text = 'tram OR bus "late again" -ferry from:ada since:2026-01-01 until:2026-02-01 min_likes:5'
    assert parse(text).understood == (
        "tram or bus, “late again”, without ferry, by ada, from 2026-01-01 on, before "
        "2026-02-01, with at least 5 likes"
    )
    assert parse("").understood == "every post"


_SNIPPETS = [
    "(",
    ")",
    "-",
    '"',
    "OR ",
    "|",
    "since:",
    "from:",
    "#",
    "@",
    "tram",
    " ",
    ":",
    "//",
    "2026-01-01",
    "9" * 30,
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(_SNIPPETS), max_size=60).map("".join)))
def test_any_text_can_be_parsed_and_said(text):
    query = parse(text)
    assert isinstance(query.root, And)
    assert query.understood
    assert all(isinstance(term, str) for term in query.terms)


@given(st.text())
def test_a_question_is_words_whatever_signs_it_has(text):
    assert all(isinstance(part, Word) for part in words_query(text).root.parts)
