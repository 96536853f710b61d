"""The page of one post: its conversation, copies and score, and none for a hidden one."""

import pytest

from rookery.core.context import Context
from rookery.posts.forget import forget
from rookery.search.post import post_page
from rookery.search.search import search_posts


@pytest.fixture
def talk(indexed, a_post):
    """A conversation of four posts, one of which tells only what it answers; and two others."""
    return indexed(
        a_post("are the rooks back?", id="root"),
        a_post("they are", id="answer", reply_to="root", conversation="root", author="bob"),
        a_post("since monday", id="deep", reply_to="answer", conversation="root"),
        a_post("no, crows", id="loose", reply_to="root", author="eve"),
        a_post("They are!", id="copy", author="cid"),
        a_post("a word about jays", id="other"),
    )


@pytest.mark.parametrize("post_id", ["root", "answer", "deep", "loose"])
def test_a_post_stands_in_its_conversation_in_the_order_of_time(talk, post_id):
    page = post_page(talk, post_id)
    assert page.hit.id == post_id
    assert [hit.id for hit in page.thread] == ["root", "answer", "deep", "loose"]
    assert post_page(talk, "other").thread == (post_page(talk, "other").hit,)


def test_copies_are_the_other_posts_with_the_same_words(talk):
    assert [hit.id for hit in post_page(talk, "answer").copies] == ["copy"]
    assert post_page(talk, "root").copies == ()


def test_the_parts_of_the_score_are_those_of_the_search_that_led_there(talk):
    hit = search_posts(talk, "rooks back").hits[0]
    page = post_page(talk, hit.id, "rooks back")
    assert page.hit.parts == pytest.approx(hit.parts, abs=1e-6)
    assert post_page(talk, hit.id).hit.parts == {}
    assert post_page(talk, "other", "rooks from:ada").hit.text == "a word about jays"


def test_a_post_that_may_not_be_shown_has_no_page_and_is_in_no_other(talk, home):
    assert post_page(talk, "never") is None
    forget(home, ["answer"], [], Context())
    assert post_page(talk, "answer") is None
    assert "answer" not in [hit.id for hit in post_page(talk, "root").thread]
    assert post_page(talk, "copy").copies == ()


def test_a_circle_of_answers_ends(indexed, a_post):
    index = indexed(a_post("one", id="a", reply_to="b"), a_post("two", id="b", reply_to="a"))
    assert [hit.id for hit in post_page(index, "a").thread] == ["a", "b"]


@pytest.mark.parametrize(
    ("post_id", "link"),
    [("https://rooks.example/1", "https://rooks.example/1"), ("javascript:x", None), ("7", None)],
)
def test_a_post_links_to_where_it_was_written(indexed, a_post, post_id, link):
    index = indexed(a_post("rook", id=post_id, source="mastodon"))
    assert post_page(index, post_id).link == link
