"""A post's text in pieces, of which some match the query."""

from hypothesis import given
from hypothesis import strategies as st

from rookery.gateway.pages.highlight import highlighted


def test_what_matches_is_a_piece_of_its_own():
    assert list(highlighted("No trams, TRAM", [(3, 8), (10, 14)])) == [
        ("No ", False),
        ("trams", True),
        (", ", False),
        ("TRAM", True),
    ]
    assert list(highlighted("tram", [])) == [("tram", False)]


@given(st.text(max_size=60), st.sets(st.integers(0, 60), max_size=8))
def test_the_pieces_are_the_text(text, places):
    ends = sorted(place for place in places if place <= len(text))
    ranges = list(zip(ends[::2], ends[1::2], strict=False))
    assert "".join(piece for piece, _ in highlighted(text, ranges)) == text
