"""The ranker: scores, files of weights, and fitting them to judged candidates."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rookery.core.errors import DataError, UsageError
from rookery.search.ranking.features import FEATURES
from rookery.search.ranking.fitting import JudgedCandidates, fit, ideal_gain
from rookery.search.ranking.ranker import (
    LONG_TERMS,
    SHORT_TERMS,
    Weights,
    read_weights,
    shipped,
    suits,
    weights_json,
)

finite = st.floats(-100, 100)
tables = arrays(float, st.tuples(st.integers(0, 8), st.just(len(FEATURES))), elements=finite)


@given(tables, st.integers(0, 64))
def test_a_score_is_the_sum_of_its_parts_and_of_no_other_candidate(table, terms):
    scores = shipped().scores(table, terms)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(shipped().parts(table, terms).sum(axis=1), scores, atol=1e-6)
    assert [shipped().scores(row[None], terms)[0] for row in table] == scores.tolist()


def test_weights_move_with_the_querys_length_between_two_bounds():
    zeros = np.zeros(len(FEATURES))
    weights = Weights(zeros, zeros + 1)
    lengths = range(SHORT_TERMS, LONG_TERMS + 1)
    shares = [weights.at(n)[0] for n in lengths]
    assert shares == sorted(shares)
    assert shares[0] == weights.at(1)[0] == 0
    assert shares[-1] == weights.at(1_000)[0] == 1


def test_the_shipped_weights_tell_from_what_they_were_learned():
    learned = shipped().provenance
    assert {"date", "from", "embedder", "collections", "penalty"} <= set(learned)
    for collection in learned["collections"]:
        assert collection["cross_validated"] > collection["bm25"]


def test_posts_are_told_from_documents_by_their_length():
    assert suits(14)
    assert not suits(250)


def test_weights_survive_their_file(tmp_path):
    random = np.random.default_rng(1)
    weights = Weights(*random.normal(size=(2, len(FEATURES))).round(4), {"from": "a test"})
    path = tmp_path / "weights.json"
    path.write_text(weights_json(weights))
    read = read_weights(path)
    assert np.array_equal(read.short, weights.short)
    assert np.array_equal(read.long, weights.long)
    assert read.provenance == {"from": "a test"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no weights of a ranker"),
        ("[]", "no weights of a ranker"),
        ('{"format": 9, "weights": {}}', "format 9, this version reads 1"),
        ('{"format": 1, "weights": {"bm26": {"short": 1, "long": 1}}}', "unknown feature: bm26"),
        ('{"format": 1, "weights": {"bm25": {"short": NaN, "long": 1}}}', "not a number"),
        ('{"format": 1, "weights": {"bm25": 2}}', "no weights of a ranker"),
    ],
)
def test_a_file_that_holds_no_weights_is_refused(tmp_path, text, message):
    path = tmp_path / "weights.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_weights(path)
    with pytest.raises(UsageError, match="no such file"):
        read_weights(tmp_path / "absent")


def test_a_feature_that_a_file_does_not_name_weighs_nothing(tmp_path):
    path = tmp_path / "weights.json"
    path.write_text(json.dumps({"format": 1, "weights": {"bm25": {"short": 1, "long": 2}}}))
    assert read_weights(path).long.tolist() == [2.0] + [0.0] * (len(FEATURES) - 1)


def judged(seed, decides, queries=40, terms=3):
    """Queries whose relevant candidates are those with the most of one feature."""
    random = np.random.default_rng(seed)
    made = []
    for table in random.normal(size=(queries, 30, len(FEATURES))):
        table[:, FEATURES.index("engagement")] = 0
        grades = (table[:, FEATURES.index(decides)] > 1).astype(float)
        made.append(JudgedCandidates(table, grades, terms, ideal_gain([1, *grades])))
    return made


def test_fitting_finds_the_feature_that_decides_and_is_deterministic():
    weights = fit([judged(1, "link")], 0.01)
    assert np.argmax(np.abs(weights.short)) == FEATURES.index("link")
    perfect = Weights(*2 * [np.array([float(name == "link") for name in FEATURES])])
    unseen = judged(2, "link")
    assert sum(q.ndcg(weights) for q in unseen) > 0.95 * sum(q.ndcg(perfect) for q in unseen)
    assert np.array_equal(fit([judged(1, "link")], 0.01).short, weights.short)


def test_short_and_long_queries_may_want_opposite_things():
    weights = fit([judged(1, "link"), judged(2, "age", terms=30)], 0.01)
    assert np.argmax(weights.short) == FEATURES.index("link")
    assert np.argmax(weights.long) == FEATURES.index("age")


def test_a_feature_that_never_differs_has_no_weight():
    weights = fit([judged(1, "link")], 0.01)
    assert abs(weights.short[FEATURES.index("engagement")]) < 1e-6


def test_a_query_without_candidates_is_no_error():
    nothing = JudgedCandidates(np.zeros((0, len(FEATURES))), np.zeros(0), 2, 1.0)
    weights = fit([[nothing, *judged(1, "link")]], 0.01)
    assert nothing.ndcg(weights) == 0
