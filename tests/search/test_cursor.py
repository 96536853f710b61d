"""Cursors: what is written is read again, and nothing else is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.errors import UsageError
from rookery.search.cursor import MOST_SHOWN, Place, Shown, after_page, decode, encode

MOMENTS = st.integers(0, (1 << 64) - 1)
CURSORS = st.one_of(
    st.builds(
        Shown, st.lists(st.binary(min_size=6, max_size=6), max_size=9).map(tuple), st.booleans()
    ),
    st.builds(Place, MOMENTS, MOMENTS),
)


@given(CURSORS, st.text(max_size=20))
def test_a_cursor_is_read_as_it_was_written(cursor, text):
    written = encode(cursor, text)
    assert set(written) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert decode(written, f"  {text}\n") == cursor


@given(st.text(max_size=60))
def test_any_other_text_is_refused(text):
    with pytest.raises(UsageError, match="not one of this search"):
        decode(text, "rooks")


@given(CURSORS, st.data())
def test_a_changed_cursor_and_that_of_another_search_are_refused(cursor, data):
    written = encode(cursor, "rooks")
    with pytest.raises(UsageError):
        decode(written, "crows")
    place = data.draw(st.integers(0, len(written) - 2))  # the last character holds unused bits
    other = "A" if written[place] != "A" else "B"
    with pytest.raises(UsageError):
        decode(written[:place] + other + written[place + 1 :], "rooks")


def test_a_cursor_of_best_grows_with_the_pages_and_ends():
    first = after_page(None, ["00112233445566aa"], relaxed=True)
    second = after_page(first, ["ff112233445566aa"], relaxed=True)
    assert second == Shown((bytes.fromhex("001122334455"), bytes.fromhex("ff1122334455")), True)
    many = ["00112233445566aa"] * (MOST_SHOWN + 1)
    assert after_page(None, many, relaxed=False) is None
