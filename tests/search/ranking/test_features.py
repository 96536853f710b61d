"""The features of candidates: what each one tells, and what changes none of them."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.posts.post import Post, to_table
from rookery.search.engine.analysis import analyse
from rookery.search.engine.columns import columns_of, hashed
from rookery.search.engine.statistics import Statistics
from rookery.search.ranking.features import FEATURES, Wanted, features
from rookery.search.ranking.scores import K1, B

MORNING = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ("tram", "bus", "late", "oak", "rook", "night", "the")
texts_of_words = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)


def columns(texts, created=None, vectors=None, **counts):
    times = [MORNING] * len(texts) if created is None else created
    posts = [
        Post(str(n), "ada", text, time, **{k: v[n] for k, v in counts.items()})
        for n, (text, time) in enumerate(zip(texts, times, strict=True))
    ]
    made = np.zeros((len(texts), 2), np.float32) if vectors is None else np.array(vectors)
    return columns_of(to_table(posts), [analyse(post.text) for post in posts], made)


def wanted(*terms, exact=None, vector=None, weight=0.5):
    return Wanted(tuple(hashed([t]) for t in terms), hashed(exact or terms), vector, weight)


def all_of(made):
    """The statistics of all posts of some columns."""
    return Statistics().with_posts(made, np.arange(made.posts))


def table(query, made, ordinals=None):
    """The features by name."""
    chosen = np.arange(made.posts) if ordinals is None else np.array(ordinals)
    values = features(query, made, chosen, all_of(made))
    return dict(zip(FEATURES, values.T.tolist(), strict=True))


def test_bm25_is_the_formula():
    texts = ["tram late", "tram tram tram oak oak", "bus", "late late bus"]
    documents = [text.split() for text in texts]
    average, idf = (
        sum(map(len, documents)) / 4,
        np.log(1 + 2.5 / 2.5),
    )  # each term is in two of four
    expected = np.zeros(4)
    for term in ("tram", "late"):
        counts = np.array([words.count(term) for words in documents])
        lengths = np.array([len(words) for words in documents])
        expected += idf / 2 * counts * (K1 + 1) / (counts + K1 * (1 - B + B * lengths / average))
    found = table(wanted("tram", "late"), columns(texts))["bm25"]
    assert found == pytest.approx(expected / expected.max())


def test_feedback_finds_a_post_by_words_that_the_best_posts_share():
    texts = ["tram oak", "tram oak night", "oak", "bus", "bus late", "late"]
    found = table(wanted("tram"), columns(texts))
    assert found["bm25"][2] == 0
    assert found["feedback"][2] > 0 == found["feedback"][3]


def test_stems_of_one_term_count_as_one():
    made = columns(["tram", "tramway", "bus"])
    query = Wanted((hashed(["tram", "tramwai", "tramway"]),), hashed(["tram"]))
    found = table(query, made)
    assert found["bm25"][0] == found["bm25"][1] > found["bm25"][2]
    assert found["coverage"] == [1, 1, 0]


def test_order_and_exact_forms():
    found = table(
        wanted("night", "tram", exact=["night", "trams"]),
        columns(["night trams", "tram night", "night x x x x tram"]),
    )
    assert found["order"] == [1, 0, 0]
    assert found["exact"] == [1, 0.5, 0.5]


def test_vectors_count_by_what_they_are_worth():
    vector, near = np.array([1, 0], np.float32), [[1, 0], [0, 1]]
    made = columns(["tram", "tram"], vectors=np.array(near, np.float32))
    found = {w: table(wanted("tram", vector=vector, weight=w), made)["vector"] for w in (0, 0.2)}
    assert found[0] == [0, 0]
    assert found[0.2] == pytest.approx([0.2, -0.2])


def test_what_is_not_known_is_the_mean_of_what_is():
    never = datetime(1970, 1, 1, tzinfo=UTC)
    times = [MORNING, MORNING - timedelta(days=9), never]
    found = table(wanted("tram"), columns(["tram"] * 3, times, likes=[1, 9, None]))
    for name in ("age", "engagement", "burst"):
        assert found[name][2] == 0
    assert found["age"][0] < 0 < found["age"][1]
    assert found["engagement"][0] < 0 < found["engagement"][1]


@given(st.lists(texts_of_words, min_size=1, max_size=12), st.randoms())
def test_the_order_of_candidates_changes_nothing(texts, random):
    made = columns(texts, [MORNING + timedelta(hours=len(t)) for t in texts])
    places = list(range(len(texts)))
    random.shuffle(places)
    query, counts = wanted("tram", "late"), all_of(made)
    straight = features(query, made, np.arange(len(texts)), counts)
    assert np.isfinite(straight).all()
    np.testing.assert_allclose(
        features(query, made, np.array(places), counts), straight[places], atol=1e-9
    )


@given(st.lists(texts_of_words, min_size=1, max_size=8), texts_of_words)
def test_a_post_that_is_no_candidate_counts_only_through_statistics(texts, other):
    made, more = columns(texts), columns([*texts, other])
    query, ordinals, counts = wanted("tram", "oak"), np.arange(len(texts)), all_of(made)
    assert np.array_equal(
        features(query, more, ordinals, counts), features(query, made, ordinals, counts)
    )


def test_no_candidates_and_no_terms_are_no_error():
    made = columns(["tram"])
    assert features(wanted("tram"), made, np.array([], int), all_of(made)).shape[0] == 0
    assert not features(Wanted((), hashed([])), made, np.array([0]), all_of(made)).any()
