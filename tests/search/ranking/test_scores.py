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
    jaccard,
    joined,
    shared_terms,
    vector_weight,
)

STATISTICS = Statistics(
    posts=100, average_terms=10.0, posts_with={"tram": 5, "late": 50, "bus": 5, "ferry": 1}
)


def test_vectors_weigh_less_beside_a_short_query_but_what_was_never_measured_weighs_the_same():
    assert [vector_weight(0.6, terms) for terms in (1, 4, 8, 30)] == [0.1, 0.3, 0.6, 0.6]
    assert [vector_weight(0.1, terms) for terms in (1, 30)] == [0.1, 0.1]
    assert [vector_weight(0.0, terms) for terms in (1, 30)] == [0.0, 0.0]


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
    scores = blend(parts, 0.0, 0.1)
    assert scores[1] > scores[0] > scores[2]


def test_idf_is_the_formula_and_positive_for_the_most_frequent_word():
    assert STATISTICS.idf("tram") == pytest.approx(np.log(1 + 95.5 / 5.5))
    assert STATISTICS.idf("unknown") == pytest.approx(np.log(1 + 100.5 / 0.5))
    assert Statistics(10, 5.0, {"all": 10}).idf("all") == pytest.approx(np.log(1 + 0.5 / 10.5))


def test_bm25_with_the_values_chosen_on_trec():
    (score,) = bm25({"tram": 2.0}, [["tram", "tram", "x"]], STATISTICS)
    length = 0.4 * (1 - 0.2 + 0.2 * 3 / 10)
    assert score == pytest.approx(2 * STATISTICS.idf("tram") * 2 * 1.4 / (2 + length))
    assert bm25({"tram": 1.0}, [[], ["x"]], STATISTICS).tolist() == [0.0, 0.0]


def test_words_that_weigh_alike_sum_to_one():
    assert even(["a", "b", "c", "d"]) == {"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25}


def test_shared_terms_weigh_by_score_length_and_rarity():
    best = [["tram", "late"], ["bus", "x", "y", "z"]]
    weights = shared_terms(best, np.array([3.0, 2.0]), STATISTICS)
    gains = {
        "tram": 3 / 2 * STATISTICS.idf("tram"),
        "late": 3 / 2 * STATISTICS.idf("late"),
        "bus": 2 / 4 * STATISTICS.idf("bus"),
    }
    assert weights == pytest.approx({t: g / sum(gains.values()) for t, g in gains.items()})
    assert list(weights) == sorted(gains, key=lambda term: -gains[term])


def test_of_copies_the_best_score_counts_and_at_most_twenty_terms_are_taken():
    copies = shared_terms(
        [["tram", "bus"], ["bus", "tram"], ["ferry"]], np.array([5.0, 1.0, 1.0]), STATISTICS
    )
    assert copies["tram"] > copies["ferry"]
    many = Statistics(100, 10.0, {f"word {n:02}": 5 for n in range(30)})
    weights = shared_terms([list(many.posts_with)], np.ones(1), many)
    assert list(weights) == [f"word {n:02}" for n in range(20)]


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
