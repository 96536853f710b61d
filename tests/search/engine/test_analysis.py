"""The tokens that analysis makes of a text."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rookery.search.engine.analysis import (
    analyse,
    query_terms,
    same_words_digest,
    stem,
    without_links,
)
from rookery.search.engine.words import exact_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Café NAÏVE", ["cafe", "naive"]),
        ("Йод и йога", ["йод", "и", "йога"]),  # the mark on й makes another letter
        ("हिन्दी में", ["हिन्दी", "में"]),  # vowel signs belong to their word
        ("熱力学", ["熱力", "力学"]),
        ("パリとハリー", ["パリ", "リと", "とハ", "ハリ", "リー"]),  # kana stay with their marks
        ("rook🎉🎉", ["rook", "🎉", "🎉"]),
        ("see https://t.co/AbC", ["see"]),  # a shortener's host has no meaning
        ("http://www.Bird-Club.org/a?b=c", ["bird", "club", "org"]),
        ("the government's", ["the", "government"]),
        ("#BlackLivesMatter", ["blacklivesmatter", "black", "lives", "matter"]),
        ("@ada_l hi", ["ada_l", "hi"]),
        ("", []),
    ],
)
def test_text_becomes_these_tokens(text, tokens):
    assert list(exact_tokens(text)) == tokens


def test_tags_and_mentions_are_noted_beside_their_words():
    analysis = analyse("#Rooks and #маршрут with @Ada.bsky.social, not a@b.org or x#y")
    assert analysis.tags == ("rooks", "маршрут")
    assert analysis.mentions == ("ada.bsky.social",)


def first_variants(text):
    return [term.variants[0] for term in query_terms(text)]


def test_stop_words_are_left_out_of_ranking_unless_there_are_no_others():
    assert first_variants("the trams to the harbour") == ["tram", "harbour"]
    assert first_variants("to be or not to be") == ["to", "be", "or", "not"]


def test_copies_that_differ_in_links_and_mentions_are_the_same():
    one, other = "@bob Rooks are BACK! https://t.co/a", "rooks are back… https://t.co/b"
    assert same_words_digest(one) == same_words_digest(other)
    assert same_words_digest(one) != same_words_digest("rooks are gone")
    assert same_words_digest("🎉") != same_words_digest("😀")


@pytest.mark.parametrize("text", ["ـ", "ـ rook", "#ـ rook", "@ـ rook", "ءـ ـ rook"])
def test_a_mark_that_stands_alone_is_no_word(text):
    analysis = analyse(text)
    assert "" not in analysis.exact
    assert len(analysis.exact) == len(analysis.terms)
    assert analysis.same


def test_text_is_shown_without_links_and_leading_mentions():
    assert without_links("RT @bob: @eve look https://t.co/x at @ada") == "look at @ada"


@given(st.text())
def test_any_text_has_tokens_without_spaces_and_as_many_stems(text):
    tokens = list(exact_tokens(text))
    assert all(token and not any(c.isspace() for c in token) for token in tokens)
    assert len(stem(tokens)) == len(tokens)


@example("İ&A")
@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=0x17F)))
def test_tokens_are_the_same_in_upper_and_lower_case(text):
    same = [
        c
        for c in text
        if c.upper().lower() == c.lower() and len(c.upper()) == 1 and c not in "'’#@ſ"
    ]
    text = "".join(same)
    assert list(exact_tokens(text.upper())) == list(exact_tokens(text.lower()))
