"""Which words of a post are highlighted for a query."""

from hypothesis import given
from hypothesis import strategies as st

from rookery.gateway.pages.highlight import highlighted, query_terms


def marked(text: str, query: str) -> list[str]:
    return [piece for piece, hit in highlighted(text, query_terms(query)) if hit]


def test_a_word_is_marked_whatever_its_case_and_ending():
    assert marked("Trams and TRAM, not tramontana or am", "the tram") == ["Trams", "TRAM"]
    assert marked("un cafe, dos Cafés", "café") == ["cafe", "Cafés"]


def test_words_that_every_post_has_are_not_marked():
    assert marked("the start of the race", "when does the race start") == ["start", "race"]


def test_excluded_words_and_filters_are_not_looked_for():
    assert query_terms('rooks -crows -"old crows" from:ada since:2026-01-01 #birds') == {
        "rook",
        "bird",
    }


@given(st.text(max_size=60), st.text(max_size=20))
def test_the_pieces_are_the_text(text, query):
    assert "".join(piece for piece, _ in highlighted(text, query_terms(query))) == text
