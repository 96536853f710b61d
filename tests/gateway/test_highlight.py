from hypothesis import given
from hypothesis import strategies as st

from rookery.gateway.highlight import highlighted, query_words


def test_a_word_is_marked_whatever_its_case_and_ending():
    marked = [piece for piece, hit in highlighted("Trams and TRAM, not tramontana or am", ["tram"]) if hit]
    assert marked == ["Trams", "TRAM"]


def test_excluded_words_and_filters_are_not_looked_for():
    assert query_words('rooks -crows -"old crows" from:ada since:2026-01-01 #birds') == ("rooks", "birds")


@given(st.text(max_size=60), st.text(max_size=20))
def test_the_pieces_are_the_text(text, query):
    assert "".join(piece for piece, _ in highlighted(text, query_words(query))) == text
