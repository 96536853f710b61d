"""Scores from counts."""

import numpy as np
import pytest

from rookery.search.ranking.scores import (
    blend,
    feedback_share,
    idf,
    jaccard,
    joined,
    vector_weight,
)


def test_vectors_weigh_less_beside_a_short_query_but_what_was_never_measured_weighs_the_same():
    assert [vector_weight(0.6, terms) for terms in (1, 4, 8, 30)] == [0.1, 0.3, 0.6, 0.6]
    assert [vector_weight(0.1, terms) for terms in (1, 30)] == [0.1, 0.1]
    assert [vector_weight(0.0, terms) for terms in (1, 30)] == [0.0, 0.0]


def test_vectors_order_what_words_leave_equal_and_do_not_outweigh_them():
    parts = {"bm25": np.array([2.0, 2.0, 1.0]), "vector": np.array([0.91, 0.92, 0.99])}
    scores = blend(parts, 0.0, 0.1)
    assert scores[1] > scores[0] > scores[2]


def test_idf_is_the_formula_and_positive_for_the_most_frequent_word():
    found = idf(100, np.array([5, 100, 0, 120]))
    expected = [1 + 95.5 / 5.5, 1 + 0.5 / 100.5, 1 + 100.5 / 0.5, 1 + 0.5 / 100.5]
    assert found == pytest.approx(np.log(expected))


def test_feedback_counts_a_fifth_up_to_four_terms_and_less_beside_longer_queries():
    assert [feedback_share(n) for n in (1, 4, 8, 16)] == pytest.approx([0.2, 0.2, 0.1, 0.05])


def test_a_term_of_both_query_and_feedback_has_both_weights():
    weights = joined({"a": 0.5, "b": 0.5}, {"a": 0.25, "c": 0.75}, 0.2)
    assert weights == pytest.approx({"a": 0.4 + 0.05, "b": 0.4, "c": 0.15})


def test_the_blend_is_nine_parts_words_and_one_part_nearness():
    parts = {
        "bm25": np.array([4.0, 2.0, 0.0]),
        "feedback": np.array([0.0, 3.0, 1.0]),
        "vector": np.array([0.5, 0.6, 0.9]),
    }
    words = np.array([3.0, 2.25, 0.25]) / 3  # a quarter of feedback
    nearness = np.array([0.0, 0.25, 1.0])
    assert blend(parts, 0.25, 0.1) == pytest.approx(0.9 * words + 0.1 * nearness)
    assert blend({"bm25": parts["bm25"]}, 0.25, 0.1) == pytest.approx([1.0, 0.5, 0.0])
    assert blend(parts | {"vector": np.full(3, 0.7)}, 0.25, 0.1) == pytest.approx(0.9 * words)
    assert blend({"bm25": np.zeros(2)}, 0.0, 0.1).tolist() == [0.0, 0.0]


def test_jaccard_is_the_share_of_common_elements():
    assert jaccard(frozenset("abc"), frozenset("bcd")) == 0.5
    assert jaccard(frozenset(), frozenset()) == 0.0
