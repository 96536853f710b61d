"""The measures, against cases worked out by hand."""

from math import log2

import numpy as np
import pytest

from rookery.search.ranking.metrics import (
    average_precision,
    ndcg,
    paired_bootstrap,
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


def test_measures_look_at_as_many_places_as_they_are_asked_for():
    run = ["x"] * 9 + ["a"]
    assert ndcg(run, {"a": 1}) == pytest.approx(1 / log2(11))
    assert ndcg(["x", *run], {"a": 1}) == 0.0
    assert ndcg(run, {"a": 1}, at=9) == 0.0
    many = ["x"] * 99 + ["a"]
    assert recall(many, {"a": 1}) == 1.0
    assert recall(["x", *many], {"a": 1}) == 0.0
    thirty = ["x"] * 29 + ["a"]
    assert precision(thirty, {"a": 1}) == pytest.approx(1 / 30)
    assert precision(["x", *thirty], {"a": 1}) == 0.0


def test_an_ideal_order_is_cut_as_well_and_the_best_grades_lead_it():
    judged = {"a": 1, "b": 3, "c": 2}
    assert ndcg(["b"], judged, at=1) == 1.0
    assert ndcg(["a"], judged, at=1) == pytest.approx(1 / 3)
    assert ndcg(["b", "c", "a"], judged) == 1.0


def test_nothing_relevant_and_nothing_found_are_zero():
    for judged in ({}, {"a": 0}):
        assert ndcg(["a"], judged) == average_precision(["a"], judged) == 0.0
        assert recall(["a"], judged) == reciprocal_rank(["a"], judged) == 0.0
    for measure in (ndcg, average_precision, recall, precision, reciprocal_rank):
        assert measure([], GRADES) == 0.0


def test_unjudged_texts_count_as_not_relevant():
    run = ["unknown", "no", "a"]
    assert average_precision(run, GRADES) == pytest.approx(1 / 3 / 3)
    assert recall(run, GRADES) == pytest.approx(1 / 3)
    assert precision(run, GRADES, at=3) == pytest.approx(1 / 3)
    assert reciprocal_rank(run, GRADES) == pytest.approx(1 / 3)


def test_the_bootstrap_is_sure_of_a_steady_difference_and_unsure_of_chance():
    random = np.random.default_rng(3)
    steady = paired_bootstrap(random.normal(0.5, 1, 200))
    assert 0 < steady.low < steady.difference < steady.high
    assert steady.p < 0.01
    chance = paired_bootstrap(np.array([1.0, -1.0] * 50))
    assert chance.low < 0 < chance.high
    assert chance.p > 0.5
    # The interval of a mean of n values is about 1.96 standard errors to each side.
    assert steady.high - steady.low == pytest.approx(2 * 1.96 / 200**0.5, rel=0.15)


def test_no_difference_at_all_is_no_evidence():
    found = paired_bootstrap(np.zeros(5))
    assert (found.low, found.high, found.p) == (0, 0, 1)
