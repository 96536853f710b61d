"""Columns and statistics in memory."""

from datetime import UTC, datetime

import numpy as np

from rookery.posts.post import Post, to_table
from rookery.search.engine.analysis import analyse
from rookery.search.engine.columns import REPLY, REPOST, columns_of, hashed, quantised
from rookery.search.engine.statistics import Statistics

TEXTS = ("the trams are late", "", "RT @ada: tram #rooks https://rooks.org", "tram tram")


def columns(texts=TEXTS, links=None):
    written = datetime(2026, 1, 1, tzinfo=UTC)
    posts = [Post(str(n), "@Ada", text, written, likes=n or None) for n, text in enumerate(texts)]
    vectors = np.zeros((len(posts), 4), np.float32)
    return columns_of(to_table(posts), [analyse(p.text) for p in posts], vectors, links)


def all_of(made):
    """The statistics of all posts of some columns."""
    return Statistics().with_posts(made, np.arange(made.posts))


def test_terms_of_ordinals_come_post_after_post_in_the_order_asked_for():
    terms, owners = columns().terms_of(np.array([3, 1, 0]))
    assert terms.tolist() == hashed(["tram", "tram", "the", "tram", "are", "late"]).tolist()
    assert owners.tolist() == [0, 0, 2, 2, 2, 2]
    assert columns().lengths_of(np.array([1, 0])).tolist() == [0, 4]


def test_columns_tell_links_tags_flags_and_unknown_counts():
    made = columns()
    assert made.links.tolist() == [0, 0, 1, 0]
    assert made.tags.tolist() == [0, 0, 1, 0]
    assert made.likes.tolist() == [-1, 1, 2, 3]
    assert (made.flags & REPOST).tolist() == [0, 0, REPOST, 0]
    assert not (made.flags & REPLY).any()
    assert columns(links=[2, None, None, None]).links.tolist() == [2, 0, 1, 0]


def test_copies_of_a_text_are_the_same():
    same = columns(["a tram", "A tram!", "a bus"]).same
    assert same[0] == same[1] != same[2]


def test_statistics_count_posts_once_and_no_hidden_one():
    made = columns()
    terms = hashed(["tram", "late", "unheard"])
    assert all_of(made).posts_with(terms).tolist() == [3, 1, 0]
    without = Statistics().with_posts(made, np.arange(1, made.posts))
    assert without.posts == 3
    assert without.posts_with(terms).tolist() == [2, 0, 0]
    assert all_of(columns([])).posts_with(terms).tolist() == [0, 0, 0]


def test_vectors_keep_their_cosines_to_a_hundredth():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(50, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    whole = quantised(vectors).astype(np.float32) / 127
    assert np.abs(whole @ vectors.T - vectors @ vectors.T).max() < 0.01
