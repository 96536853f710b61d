"""Scores from counts."""

import numpy as np
import pytest

from rookery.search.ranking.scores import (
    K1,
    B,
    Statistics,
    blend,
    bm25,
    even,
    feedback_share,
    joined,
    shared_terms,
)

STATISTICS = Statistics(
    posts=100, average_terms=10.0, posts_with={"tram": 5, "late": 50, "bus": 5, "ferry": 1}
)


def test_bm25_is_the_formula():
    document = ["tram", "tram", "late", "x"]
    length = K1 * (1 - B + B * 4 / 10)
    expected = STATISTICS.idf("tram") * 2 * (K1 + 1) / (2 + length) + STATISTICS.idf("late") * (
        K1 + 1
    ) / (1 + length)
    assert bm25({"tram": 1.0, "late": 1.0}, [document], STATISTICS)[0] == pytest.approx(expected)


def test_rarer_words_more_of_them_and_shorter_posts_count_more():
    scores = bm25(
        even(["tram", "late"]),
        [["tram"], ["late"], ["tram", "late"], ["tram", *"abcdefgh"]],
        STATISTICS,
    )
    assert scores[2] > scores[0] > scores[1]
    assert scores[0] > scores[3] > 0


def test_feedback_brings_terms_that_the_best_posts_share_and_counts_copies_once():
    best = [["tram", "bus"], ["tram", "bus"], ["tram", "ferry"]]
    weights = shared_terms(best, np.array([1.0, 1.0, 1.0]), STATISTICS)
    assert sum(weights.values()) == pytest.approx(1.0)
    assert weights["ferry"] > weights["bus"]  # as often when the copy does not count, and rarer


def test_feedback_of_nothing_leaves_the_query_alone():
    assert shared_terms([], np.zeros(0), STATISTICS) == {}
    assert feedback_share(1) > feedback_share(30)
    assert sum(joined(even(["a", "b"]), {"c": 1.0}, 0.3).values()) == pytest.approx(1.0)


def test_vectors_order_what_words_leave_equal_and_do_not_outweigh_them():
    parts = {"bm25": np.array([2.0, 2.0, 1.0]), "vector": np.array([0.91, 0.92, 0.99])}
    scores = blend(parts, 0.0)
    assert scores[1] > scores[0] > scores[2]
