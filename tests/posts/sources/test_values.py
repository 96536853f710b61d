"""Times and languages: each spelling in use is read, and no text breaks the reading."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rookery.posts.sources.values import language_code, language_codes, parse_time

FIVE = datetime(2020, 1, 1, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-01 05:30",
        "2020-01-01T05:30:00Z",
        "2020-01-01T06:30:00+01:00",
        "1577856600",
        "1577856600000",
        "1577856600000000",
        "1577856600.0",
        "Wed Jan 01 05:30:00 +0000 2020",
        "1/1/2020 5:30",
        " 2020-01-01T05:30 ",
    ],
)
def test_times_are_read_as_people_write_them(text):
    assert parse_time(text) == FIVE


@given(st.text(max_size=30))
@example("0001-01-01T00:00:00+05:00")
@example("99999999999999999")
@example("²²²²²²²²²")
@example("12")
def test_no_text_breaks_the_reading_of_times(text):
    time = parse_time(text)
    assert time is None or time.tzinfo is not None


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_in_iso_form_is_read_back(time):
    assert parse_time(time.isoformat()) == time


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("English", "en"),
        ("en-GB", "en"),
        ("pt_BR", "pt"),
        ("DE", "de"),
        ("und", None),
        ("qme", None),
        ("iw", "he"),
        ("", None),
        ("LANGUAGE UNDEFINED", None),
    ],
)
def test_languages_become_codes(name, code):
    assert language_code(name) == code


def test_of_a_list_of_languages_the_first_counts():
    for kind in (pa.list_(pa.string()), pa.large_list(pa.string())):
        assert language_codes(pa.array([["en", "de"], [], None, ["fr"]], kind)).to_pylist() == [
            "en",
            None,
            None,
            "fr",
        ]
