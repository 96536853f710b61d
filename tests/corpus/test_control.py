"""Control tokens state what is known of a document, and nothing else."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from rookery.corpus.control import controls, name, reactions

WHEN = pa.array([datetime(2016, 12, 31, 23, tzinfo=UTC)] * 5, pa.timestamp("us", tz="UTC"))


def numbers(*values):
    return np.array(values, np.int64)


def counts(*values):
    return pa.array(values, pa.int64())


def test_controls_name_language_year_and_engagement():
    said = controls(pa.array(["en"]), WHEN[:1], numbers(10))
    assert said.to_pylist() == [["<|language:en|>", "<|time:2016|>", "<|engagement:2|>"]]


def test_what_is_unknown_is_not_said():
    said = controls(pa.array([None, "de"]), WHEN[:2], numbers(0, -1))
    assert said.to_pylist() == [
        ["<|time:2016|>", "<|engagement:0|>"],
        ["<|language:de|>", "<|time:2016|>"],
    ]


def test_engagement_levels_begin_at_one_ten_and_a_hundred_reactions():
    said = controls(pa.array([None] * 5, pa.string()), WHEN, numbers(0, 1, 9, 99, 100))
    assert [row[-1] for row in said.to_pylist()] == [
        name("engagement", level) for level in (0, 1, 1, 2, 3)
    ]


def test_reactions_are_unknown_only_where_no_count_is_told():
    total = reactions(counts(1, None, None), counts(2, 5, None), counts(3, None, None))
    assert total.to_pylist() == [6, 5, None]


def test_none_in_none_out():
    assert len(controls(pa.array([], pa.string()), WHEN[:0], numbers())) == 0


def test_levels_begin_at_their_first_number():
    said = controls(
        pa.array([None] * 5, pa.string()), WHEN, numbers(10, 11, 101, 1_000_000, 2)
    ).to_pylist()
    assert [row[-1][-3] for row in said] == list("22331")
    assert all(len(row) == 2 for row in said)
    assert reactions(counts(None), counts(None), counts(0)).to_pylist() == [0]
