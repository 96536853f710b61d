"""Columns of times: all values decide how each is read; where they cannot, a person is asked."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.posts.sources.dates import DATE_ORDERS
from rookery.posts.sources.tables.times import UNITS, TimesJudge

FIVE = datetime(2020, 1, 1, 5, 30, tzinfo=UTC)


def judged(values, asked=None, kind=None):
    """Judge a column in batches of one value, and read it."""
    judge, column = TimesJudge(), pa.array(values, kind)
    for place in range(len(column)):
        judge.look(column.slice(place, 1))
    reading = judge.reading(asked)
    return reading, None if reading.refusal else reading.read(column).to_pylist()


@pytest.mark.parametrize(
    "value",
    [
        1577856600, 1577856600.0, 1577856600000, 1577856600000000, 1577856600000000000,
        1577856600000000000.0, "1577856600", "1577856600.0", "1577856600000",
        "1577856600000000000", "1.5778566e+18", "1.5778566E9", 20200101053000, "20200101053000",
    ],
)  # fmt: skip
def test_numbers_are_read_by_their_size(value):
    assert judged([value, value, None])[1] == [FIVE, FIVE, None]


def test_fractions_of_seconds_are_kept():
    half = FIVE + timedelta(milliseconds=500)
    assert judged(["1577856600.5", "1577856600"])[1] == [half, FIVE]
    assert judged([1577856600.5])[1] == [half]


def test_days_may_be_numbers():
    day = datetime(2020, 1, 31, tzinfo=UTC)
    assert judged([20200131, 20200131])[1] == [day, day]
    assert judged(["20200131"])[1] == [day]


def test_one_value_that_fits_one_order_only_decides_for_all():
    reading, times = judged(["05/01/2020 10:00", "13/01/2020 11:00"])
    assert reading.order == "day-first"
    assert [(t.month, t.day) for t in times] == [(1, 5), (1, 13)]
    reading, times = judged(["1/5/20 5:30 PM", "1/13/20 5:30 AM", "nan", ""])
    assert reading.order == "month-first"
    assert times == [datetime(2020, 1, 5, 17, 30, tzinfo=UTC),
                     datetime(2020, 1, 13, 5, 30, tzinfo=UTC), None, None]  # fmt: skip
    assert "'1/13/20'" in reading.why


@pytest.mark.parametrize("values", [["05/01/2020", "06.02.2020"], ["01/13/2020", "13/01/2020"]])
def test_where_no_one_order_is_decided_the_person_is_asked(values):
    reading, _ = judged(values)
    assert reading.refusal
    assert repr(values[0].partition(" ")[0]) in reading.refusal
    assert "--dates day-first or --dates month-first" in reading.hint
    for order in DATE_ORDERS:
        reading, times = judged(values, asked=order)
        assert reading.refusal is None
        assert any(times)


def test_where_the_order_does_not_matter_nobody_is_asked():
    assert judged(["01/01/2020 5:30", "02/02/2020"])[1] == [FIVE, datetime(2020, 2, 2, tzinfo=UTC)]
    assert judged(["2020/01/02", "2020/2/1"])[0].refusal is None


def test_a_value_of_another_kind_is_no_time():
    assert judged(["2020-01-01 05:30", "2020-01-01T05:30Z", "1577856600"])[1] == [FIVE, FIVE, None]
    assert judged(["1577856600", "1577856600", "2020-01-01"])[1] == [FIVE, FIVE, None]
    assert judged(["1577856600", "1577856600", "1577856600000"])[1] == [FIVE, FIVE, None]
    assert judged(["soon", None])[1] == [None, None]


def test_times_that_a_spreadsheet_rounded_are_refused():
    reading, _ = judged(["1.57786E+09", "1.57787E+09"])
    assert "'1.57786E+09' and '1.57787E+09'" in reading.refusal


@pytest.mark.parametrize(
    ("values", "is_new"),
    [
        (["2020-01-01"], False),
        (["Wed Jan 01 05:30:00 +0000 2020"], False),
        (["1/13/2020 5:30"], False),
        (["1577856600"], False),
        (["13/1/2020 5:30"], True),
        (["1/13/2020"], True),
        (["Wed, 01 Jan 2020 05:30:00 GMT"], True),
        (["1577856600000000000"], True),
    ],
)
def test_readings_that_earlier_releases_had_not_are_marked(values, is_new):
    assert judged(values)[0].is_new == is_new


@given(
    st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), min_size=1, max_size=5),
    st.sampled_from(UNITS),
)
def test_any_times_are_read_back_from_any_unit(times, unit):
    times = [time.replace(tzinfo=UTC, microsecond=0) for time in times]
    factor = 1000 ** UNITS.index(unit)
    seconds = [int(time.timestamp()) * factor for time in times]
    assert judged(seconds)[1] == judged([str(n) for n in seconds])[1] == times


@given(st.lists(st.datetimes(), min_size=1, max_size=5), st.sampled_from(DATE_ORDERS))
def test_dates_in_one_order_are_read_in_it_or_asked_for(times, order):
    form = (
        "{0.day}/{0.month}/{0.year:04d}"
        if order == "day-first"
        else "{0.month}/{0.day}/{0.year:04d}"
    )
    reading, found = judged([form.format(time) for time in times])
    if reading.refusal is None:
        assert found == [datetime(t.year, t.month, t.day, tzinfo=UTC) for t in times]
