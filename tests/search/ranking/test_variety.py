"""One author, or a heap of tags, does not fill a page while there is something else."""

import itertools
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rookery.posts.post import Post, to_table
from rookery.search.engine.analysis import analyse
from rookery.search.engine.columns import columns_of
from rookery.search.ranking.variety import damping, most_of_one, stuffing, varied

TIME = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Written:
    place: int
    author: str


RANKED = st.lists(st.sampled_from("abcdefg"), max_size=60).map(
    lambda authors: [Written(n, author) for n, author in enumerate(authors)]
)


@given(RANKED, st.integers(1, 20))
def test_no_author_has_more_than_a_third_unless_there_is_nothing_else(ranked, limit):
    most = most_of_one(limit)
    page, more, is_filled_up = varied(ranked, limit, most)
    assert len(page) == min(limit, len(ranked))
    assert more == (len(ranked) > limit)
    counts = Counter(post.author for post in page)
    if max(counts.values(), default=0) > most:
        assert is_filled_up
        left = Counter(post.author for post in ranked if post not in page)
        assert all(counts[author] >= most for author in left)


@given(RANKED, st.integers(1, 20))
def test_page_after_page_shows_everything_once(ranked, limit):
    left, seen = list(ranked), []
    while left:
        page, more, _ = varied(left, limit, most_of_one(limit))
        assert more == (len(left) > limit)
        seen += page
        left = [post for post in left if post not in page]
    assert sorted(seen, key=lambda post: post.place) == ranked


@given(RANKED, st.integers(1, 20))
def test_without_a_bound_the_order_stays(ranked, limit):
    assert varied(ranked, limit, limit)[0] == ranked[:limit]


def test_no_more_is_read_than_it_takes():
    endless = (Written(n, str(n)) for n in itertools.count())
    page, more, is_filled_up = varied(endless, 10, 3)
    assert (len(page), more, is_filled_up) == (10, True, False)


def test_a_post_of_tags_is_stuffed_and_one_with_some_is_not():
    tags, words = [5, 5, 4, 0, 6], [6, 20, 4, 1, 6]
    posts = [
        Post(str(n), "ada", " ".join(["#rook"] * t + ["rook"] * (w - t)), TIME)
        for n, (t, w) in enumerate(zip(tags, words, strict=True))
    ]
    analyses = [
        replace(analyse(p.text), tags=("rook",) * t) for p, t in zip(posts, tags, strict=True)
    ]
    made = columns_of(to_table(posts), analyses, np.zeros((5, 2), np.float32))
    assert stuffing(made, np.arange(5)).tolist() == [True, False, False, False, True]


def test_a_stuffed_post_falls_whatever_the_sign_of_its_score():
    scores = np.array([2.0, -2.0, 0.0])
    assert damping(scores, np.ones(3, bool)).tolist() == [-1.0, -1.0, 0.0]
    assert damping(scores, np.zeros(3, bool)).tolist() == [0.0, 0.0, 0.0]
