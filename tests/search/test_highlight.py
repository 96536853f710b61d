"""Which characters of a post match a query."""

import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.search.highlight import marker_of
from rookery.search.query import parse


def marked(text, query, language=None):
    found = marker_of(parse(query).root).ranges(text, language)
    return [text[begin:end] for begin, end in found]


@pytest.mark.parametrize(
    ("text", "query", "language", "expected"),
    [
        ("Trams and TRAM, not tramontana or am", "the tram", None, ["Trams", "TRAM"]),
        ("un cafe, dos Caf\u00e9s", "caf\u00e9", None, ["cafe", "Caf\u00e9s"]),
        ("the start of the race", "when does the race start", None, ["start", "race"]),
        ("to be or not", "to be", None, ["to", "be"]),
        ("H\u00e4user und Haus", "haus", "de", ["H\u00e4user", "Haus"]),
        ("the late late tram", '"late tram"', None, ["late tram"]),
        ("a state-of-the-art tram", "state-of-the-art", None, ["state-of-the-art"]),
        ("tramway, trams", "tra*", None, ["tramway", "trams"]),
        ("#Rooks rooks", "#rooks", None, ["#Rooks"]),
        ("@Ada@rooks.social and @ada", "@ada", None, ["@Ada@rooks.social", "@ada"]),
        ("buy $TSLA", "$tsla", None, ["$TSLA"]),
        ("the U.S. and us", "US", None, ["U.S", "us"]),
        (
            "\u30d1\u30ea\u306e\u71b1\u529b\u5b66",
            "\u71b1\u529b\u5b66",
            "ja",
            ["\u71b1\u529b\u5b66"],
        ),
        ("rooks, crows, old crows, ada", "rooks -crows from:ada since:2026-01-01", None, ["rooks"]),
        ("rooks", "", None, []),
    ],
)
def test_what_a_query_looks_for_is_marked(text, query, language, expected):
    assert marked(text, query, language) == expected


@given(st.text(max_size=80), st.text(max_size=30), st.sampled_from([None, "de", "ja"]))
def test_ranges_are_in_order_and_within_the_text(text, query, language):
    found = marker_of(parse(query).root).ranges(text, language)
    places = [place for found_range in found for place in found_range]
    assert places == sorted(set(places))
    assert all(0 <= place <= len(text) for place in places)


WORDS = st.sampled_from(
    "tram Trams d'un l'école NightTram #NightTram U.S. C++ ﬁsh Straße yes Yes @ada パリへ".split()
)


@given(
    st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=3), st.sampled_from([None, "de", "fr"])
)
def test_no_word_is_passed_over_for_its_first_letter(text, query, language):
    marker = marker_of(parse(" OR ".join(query)).root)
    slow = replace(marker, initials=frozenset(string.ascii_lowercase))
    assert marker.ranges(" ".join(text), language) == slow.ranges(" ".join(text), language)
