"""Which places a scrub reaches: of one post, up to a post, or of all posts of an author."""

import pyarrow as pa
import pytest

from rookery.core.context import FixedClock
from rookery.posts.event import THE_POST, Event
from rookery.posts.live import live_log
from rookery.posts.log.places import Scrubs, scrubbed, scrubs, to_scrub


def batch(*posts: tuple[str, str, str | None]) -> pa.RecordBatch:
    """Return posts given as (id, author, place)."""
    columns = {
        name: [post[n] for post in posts] for n, name in enumerate(("id", "author", "place"))
    }
    return pa.RecordBatch.from_pydict(columns, pa.schema([(name, pa.string()) for name in columns]))


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        (["5"], "5"),
        (["5", "9"], "9"),
        (["9", "5"], "9"),
        (["9", "10"], "10"),
        (["10", "9"], "10"),
        (["5", ""], ""),
        (["", "5"], ""),
    ],
)
def test_of_two_wishes_of_an_author_the_farther_one_holds(home, values, holds):
    with live_log(home) as log:
        log.record([Event("scrub_place", "ada", value=value) for value in values], FixedClock())
        assert scrubs(log) == Scrubs({"ada": holds})


def test_a_wish_for_one_post_is_no_wish_of_an_author(home):
    with live_log(home) as log:
        log.record([Event("scrub_place", "7", THE_POST)], FixedClock())
        assert scrubs(log) == Scrubs({}, frozenset({"7"}))


def test_a_place_is_reached_up_to_the_last_post_and_in_no_post_of_others():
    posts = batch(
        ("9", "ada", "Elm"), ("10", "ada", "Elm"), ("11", "ada", "Elm"), ("5", "bo", "Elm"),
        ("6", "cy", "Elm"), ("7", "ada", None),
    )  # fmt: skip
    wished = Scrubs({"ada": "10", "cy": ""}, frozenset({"11"}))
    assert to_scrub(posts, wished).to_pylist() == [True, True, True, False, True, False]
    places = scrubbed(posts, Scrubs({"ada": "10", "cy": ""}))["place"].to_pylist()
    assert places == [None, None, "Elm", "Elm", None, None]
    assert scrubbed(posts, Scrubs({}, frozenset({"5"})))["place"].to_pylist()[3] is None


def test_nothing_wished_or_nothing_there_leaves_the_posts_as_they_are():
    posts, placeless = batch(("1", "ada", "Elm")), batch(("1", "ada", None))
    assert scrubbed(posts, Scrubs()) is posts
    assert scrubbed(placeless, Scrubs({"ada": ""})) is placeless
    assert [bool(wish) for wish in (Scrubs(), Scrubs({"a": ""}), Scrubs({}, frozenset("1")))] == [
        *(False, True, True)
    ]
