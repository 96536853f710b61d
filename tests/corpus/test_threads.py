"""Threads: links upward, roots, and the order of reading."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.digest import hash_ids
from rookery.corpus.threads import THREAD_POSTS, parents, reading_order, roots


def linked(
    ids: str, reply_to: list, conversation: list | None = None, quote_of: list | None = None
) -> np.ndarray:
    none = [None] * len(ids)
    return parents(
        _hashes(ids), _hashes(reply_to), _hashes(quote_of or none), _hashes(conversation or none)
    )


def _hashes(names) -> np.ndarray:
    return np.array([hash_ids([name])[0] if name else 0 for name in names], np.uint64)


def test_a_reply_hangs_under_what_it_answers_and_else_under_its_conversation():
    above = linked("abcde", [None, "a", "gone", None, None], [None, "x", "x", "a", "new"])
    assert above.tolist() == [-1, 0, 1, 0, -1]


def test_a_link_to_a_later_post_or_to_itself_is_not_followed():
    assert linked("abc", ["b", "b", "a"]).tolist() == [-1, -1, 0]


@given(st.lists(st.integers(-1, 40), max_size=40))
def test_the_root_is_where_walking_upward_ends(links):
    parent = np.array(
        [link if link < place else -1 for place, link in enumerate(links)], dtype=np.int64
    )
    for place, root in enumerate(roots(parent)):
        while parent[place] >= 0:
            place = parent[place]
        assert root == place


def test_an_answer_follows_what_it_answers_before_the_next_branch():
    parent = linked("abcdef", [None, "a", "a", None, "b", "c"])
    order, starts = reading_order(np.arange(6), parent, roots(parent))
    assert ["abcdef"[n] for n in order] == ["a", "b", "e", "c", "f", "d"]
    assert starts.tolist() == [0, 5]


def test_a_dropped_post_in_the_middle_leaves_its_answers_under_the_one_above():
    parent = linked("abcd", [None, "a", "b", "a"])
    order, starts = reading_order(np.array([0, 2, 3]), parent, roots(parent))
    assert order.tolist() == [0, 2, 3]
    assert starts.tolist() == [0]


def test_a_thread_whose_first_post_was_dropped_stays_together():
    parent = linked("abc", [None, "a", "a"])
    order, starts = reading_order(np.array([1, 2]), parent, roots(parent))
    assert (order.tolist(), starts.tolist()) == ([1, 2], [0])


def test_a_long_thread_goes_on_in_another_document():
    parent = np.arange(-1, 2 * THREAD_POSTS)
    order, starts = reading_order(np.arange(len(parent)), parent, roots(parent))
    assert order.tolist() == list(range(len(parent)))
    assert starts.tolist() == [0, THREAD_POSTS, 2 * THREAD_POSTS]


@given(st.lists(st.integers(-1, 30), max_size=30), st.sets(st.integers(0, 29)))
def test_every_post_given_is_read_once_and_threads_are_contiguous(links, gone):
    parent = np.array(
        [link if link < place else -1 for place, link in enumerate(links)], dtype=np.int64
    )
    rows = np.array([place for place in range(len(links)) if place not in gone], dtype=np.int64)
    root = roots(parent)
    order, starts = reading_order(rows, parent, root)
    assert sorted(order) == rows.tolist()
    assert len(starts) == len(set(root[rows]))
    assert all(len(set(root[part])) == 1 for part in np.split(order, starts[1:]) if len(part))


def test_a_quote_hangs_under_what_it_quotes_unless_it_answers_another():
    parent = linked(
        "abcd", [None, None, None, "b"], conversation=list("aacd"), quote_of=[None, None, "a", "a"]
    )
    assert parent.tolist() == [-1, 0, 0, 1]


def test_a_document_holds_thirty_two_posts_of_a_thread_and_no_more():
    for posts, starts in ((32, [0]), (33, [0, 32]), (65, [0, 32, 64])):
        parent = np.arange(-1, posts - 1)
        assert reading_order(np.arange(posts), parent, roots(parent))[1].tolist() == starts
