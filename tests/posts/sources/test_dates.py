"""Dates: each spelling in use is read, and no text breaks the reading."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rookery.posts.sources.dates import DATE_ORDERS, parse_date

FIVE = datetime(2020, 1, 2, 17, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-02 17:30",
        "2020-01-02T18:30:00+01:00",
        "2020-01-02 17:30:00 UTC",
        "20200102173000",
        "2020/1/2 17:30",
        "2020.01.02 17:30:00",
        "Thu Jan 02 17:30:00 +0000 2020",
        "Thu, 02 Jan 2020 17:30:00 +0000",
        "Thu, 02 Jan 2020 17:30:00 GMT",
        "2 Jan 2020 12:30:00 EST",
        "Thu, 02 Jan 2020 18:30:00 +0100 (CET)",
        "January 2, 2020 5:30 PM",
        "Jan 2nd, 2020 at 5:30 p.m.",
        "2. January 2020 17.30",
        "2-Jan-20 17:30",
    ],
)
def test_a_date_that_leaves_nothing_open_is_read(text):
    assert parse_date(text) == FIVE


@pytest.mark.parametrize(
    ("day_first", "month_first"),
    [
        ("02/01/2020 17:30", "01/02/2020 17:30"),
        ("2.1.2020 17:30", "1.2.2020 17:30"),
        ("2-1-20 5:30 PM", "1-2-20 5:30 PM"),
        ("02.01.20, 17:30:00", "01/02/20, 05:30:00 pm"),
    ],
)
def test_a_date_of_numbers_is_read_in_the_order_that_is_given(day_first, month_first):
    for text, order in zip((day_first, month_first), DATE_ORDERS, strict=True):
        assert parse_date(text, order) == FIVE
        assert parse_date(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "2/1/2020 17",
        "31/02/2020",
        "2020-13-01",
        "Martha 5, 2020",
        "1/2/2020 25:00",
        "1/2/2020 13:00 PM",
        "12.5",
    ],
)
def test_what_no_calendar_has_is_no_date(text):
    assert parse_date(text, "day-first") is None


def test_a_half_day_needs_no_minutes():
    assert parse_date("1/2/2020 5 PM", "month-first") == FIVE.replace(minute=0)
    assert parse_date("2 January 2020, 12 a.m.") == FIVE.replace(hour=0, minute=0)


@given(st.text(max_size=120), st.sampled_from([None, *DATE_ORDERS]))
@example("Jan" + " " * 70 + "1", None)
@example("0001-01-01T00:00:00+05:00", None)
@example("1/1/2020 1:1 +99:99", "day-first")
@example("Mon, 32 Jan 2020 99:99:99 +9999", None)
def test_no_text_breaks_the_reading(text, order):
    time = parse_date(text, order)
    assert time is None or time.tzinfo is not None


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(DATE_ORDERS))
def test_a_time_is_read_back_from_iso_form_and_from_numbers(time, order):
    assert parse_date(time.isoformat()) == time
    text = f"{time.day}/{time.month}" if order == "day-first" else f"{time.month}/{time.day}"
    minute = time.replace(second=0, microsecond=0)
    assert parse_date(f"{text}/{time.year:04d} {time.hour}:{time.minute:02d}", order) == minute
