"""The measures, against cases worked out by hand."""

from math import log2

import pytest

from rookery.search.ranking.metrics import (
    average_precision,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)

GRADES = {"a": 2, "b": 1, "c": 1, "no": 0}


def test_ndcg_discounts_by_place_and_compares_with_the_ideal_order():
    ideal = 2 / log2(2) + 1 / log2(3) + 1 / log2(4)
    assert ndcg(["a", "b", "c"], GRADES) == pytest.approx(1.0)
    assert ndcg(["x", "b", "no", "a"], GRADES) == pytest.approx((1 / log2(3) + 2 / log2(5)) / ideal)
    assert ndcg(["x"] * 10 + ["a"], GRADES) == 0.0


def test_average_precision_counts_relevant_texts_that_were_not_found():
    assert average_precision(["a", "x", "b"], GRADES) == pytest.approx((1 / 1 + 2 / 3) / 3)


def test_recall_precision_and_reciprocal_rank():
    run = ["x", "a", "no", "c"]
    assert recall(run, GRADES, at=2) == pytest.approx(1 / 3)
    assert precision(run, GRADES, at=30) == pytest.approx(2 / 30)
    assert reciprocal_rank(run, GRADES) == 0.5
    assert reciprocal_rank(["x"], GRADES) == 0.0


def test_negative_grades_count_as_not_relevant():
    assert ndcg(["spam", "a"], {"a": 1, "spam": -2}) == pytest.approx(1 / log2(3))
