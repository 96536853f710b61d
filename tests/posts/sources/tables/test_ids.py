"""Columns of ids: a fraction is cut off, and rounded ids refuse the file."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.posts.sources.tables.ids import IdsJudge
from rookery.posts.sources.tables.missing import NULL_WORDS


def judged(column):
    """Judge a column in batches of one value."""
    judge = IdsJudge()
    for place in range(len(column)):
        judge.look(column.slice(place, 1))
    return judge.reading()


def read(values, kind=None):
    column = pa.array(values, kind)
    reading = judged(column)
    assert reading.refusal is None
    return reading.read(column).to_pylist()


def test_whole_floats_lose_their_fraction():
    assert read(["12.0", "7", "1234567890.00"]) == ["12", "7", "1234567890"]
    assert read([12.0, None, float("nan")]) == ["12", None, None]
    assert read(["1234567890123456789", "12.0"]) == ["1234567890123456789", "12"]


def test_values_among_texts_or_with_a_fraction_stay_as_they_are():
    assert read(["web2.0", "2.0", "1e5", "ada", "bo"]) == ["web2.0", "2.0", "1e5", "ada", "bo"]
    assert read(["12.0", "7.0", "a name"]) == ["12", "7", "a name"]
    assert read(["1.5", "2.0"]) == ["1.5", "2.0"]


@pytest.mark.parametrize("word", [*NULL_WORDS, "", "  "])
def test_words_for_nothing_are_no_id(word):
    assert read(["12.0", word, " 7 "]) == ["12", None, "7"]


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        (pa.array(["1.5E+18", "2.5e18", "17"]), "'1.5E+18' and '2.5e18'"),
        (
            pa.array(["ada", "bo", "cy", "1.23457E+17", "1.23458E+17"]),
            "'1.23457E+17' and '1.23458E+17'",
        ),
        (pa.array(["1577856600123456768.0"]), "'1577856600123456768.0'"),
        (pa.array([1.5e18, 12.0]), "'1.5e+18'"),
        (pa.array([20_000_000.0], pa.float32()), "'20000000'"),
    ],
)
def test_rounded_ids_refuse_the_file_with_two_values(column, shown):
    reading = judged(column)
    assert shown in reading.refusal
    assert "as text" in reading.hint


@given(st.lists(st.integers(0, 2**53 - 1), min_size=1, max_size=20))
def test_any_ids_below_the_limit_come_out_of_floats_as_they_were(ids):
    expected = [str(number) for number in ids]
    assert read(ids, pa.float64()) == expected
    assert read([f"{number}.0" for number in ids]) == expected
    assert read(expected) == expected


@given(st.lists(st.integers(2**53, 2**63 - 1), min_size=1, max_size=5))
def test_ids_from_there_on_are_refused_as_floats_and_kept_as_digits(ids):
    assert judged(pa.array([float(number) for number in ids])).refusal
    assert judged(pa.array([repr(float(number)) for number in ids])).refusal
    assert read([str(number) for number in ids]) == [str(number) for number in ids]
