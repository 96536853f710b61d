"""Edits: the newest text ends in the lake, in any order of arrival and any cut into ingests."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.core.context import Context, FixedClock
from rookery.core.home import create_home
from rookery.posts import ingest
from rookery.posts.event import Event
from rookery.posts.ingest import ingest_batches
from rookery.posts.lake import open_lake
from rookery.posts.live import live_log
from rookery.posts.post import Post, to_batch

CONTEXT = Context(FixedClock(datetime(2026, 7, 1, tzinfo=UTC)))
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def version(id, number, **fields):
    """Return the n-th version of a post; version 0 was never edited."""
    edited = FIRST + timedelta(days=number) if number else None
    return Post(
        **(
            {
                "id": id,
                "author": "ada",
                "text": f"{id} as of {number}",
                "created": FIRST,
                "edited": edited,
            }
            | fields
        )
    )


def take(home, *posts, key="key"):
    return ingest_batches(home, "test", key, lambda: iter([(to_batch(posts), [])]), CONTEXT)


def texts(home):
    rows = [row for batch in open_lake(home).batches(["id", "text"]) for row in batch.to_pylist()]
    assert len(rows) == len({row["id"] for row in rows})
    return {row["id"]: row["text"] for row in rows}


def restrictions(home):
    with live_log(home) as log:
        return log.restrictions()


def test_a_later_version_takes_the_place_of_the_earlier_and_older_corpora_are_told(home):
    take(home, version("1", 0), version("2", 0), key="a")
    report = take(home, version("1", 2), version("3", 0), key="b")
    assert (report.added, report.edited, report.lake_version) == (1, 1, 1)
    assert texts(home) == {"1": "1 as of 2", "2": "2 as of 0", "3": "3 as of 0"}
    assert restrictions(home).edited == {"1": 1}
    assert restrictions(home).forbids("training", "1", "ada", 0)
    assert not restrictions(home).forbids("training", "1", "ada", 1)


def test_an_older_version_that_comes_later_is_counted_and_changes_nothing(home):
    take(home, version("1", 2), key="a")
    report = take(home, version("1", 1), version("1", 2), key="b")
    assert (report.already_there, report.set_aside) == (1, {"superseded": 1})
    assert texts(home) == {"1": "1 as of 2"}
    assert restrictions(home).edited == {}


def test_other_words_without_a_later_time_are_set_aside(home):
    take(home, version("1", 0), key="a")
    report = take(home, version("1", 0, text="other words"), key="b")
    assert report.set_aside == {"id_taken": 1}
    assert texts(home) == {"1": "1 as of 0"}


def visibilities(home):
    batches = open_lake(home).batches(["id", "visibility"])
    return {row["id"]: row["visibility"] for batch in batches for row in batch.to_pylist()}


@pytest.mark.parametrize(
    ("first", "second", "held"),
    [
        ("public", "followers", "followers"),
        ("followers", "public", "followers"),
        ("unknown", "public", "public"),
        ("public", "unknown", "public"),
        ("followers", "unknown", "followers"),
        ("unlisted", "direct", "direct"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_who_may_read_a_post_is_what_is_known_and_the_narrower_of_two(
    home, first, second, held, at_once
):
    one, two = (version("1", 0, visibility=name) for name in (first, second))
    if at_once:
        report = take(home, one, two)
        assert (report.read, report.added, report.already_there) == (2, 1, 1)
    else:
        take(home, one, key="a")
        report = take(home, two, key="b")
        is_vouched, is_narrowed = held != first == "unknown", held != first != "unknown"
        assert (report.vouched, report.edited) == (is_vouched, is_narrowed)
        # nothing was made of a post of which nobody knew who may read it
        assert restrictions(home).forbids("training", "1", "ada", 0) == is_narrowed
    assert visibilities(home) == {"1": held}
    assert texts(home) == {"1": "1 as of 0"}


def test_three_words_on_who_may_read_a_post_in_pieces_of_one_ingest(home, monkeypatch):
    monkeypatch.setattr(ingest, "PIECE_POSTS", 1)
    posts = [version("1", 0, visibility=name) for name in ("unknown", "public", "followers")]
    read = [(to_batch([post]), []) for post in posts]
    report = ingest_batches(home, "test", "key", lambda: iter(read), CONTEXT)
    assert (report.read, report.added, report.already_there) == (3, 1, 2)
    assert visibilities(home) == {"1": "followers"}


def test_an_edit_may_move_a_post_to_another_month(home):
    take(home, version("1", 0), version("2", 0), key="a")
    take(home, version("1", 1, created=FIRST - timedelta(days=40)), key="b")
    assert texts(home) == {"1": "1 as of 1", "2": "2 as of 0"}


def test_of_versions_with_ids_of_their_own_the_newest_holds_in_any_order(home):
    take(home, version("12", 2, version_of="10"), key="a")
    take(home, version("10", 0), version("11", 1, version_of="10"), version("20", 0), key="b")
    assert restrictions(home).posts == {"10": "superseded", "11": "superseded"}
    take(home, version("13", 3, version_of="10"), key="c")
    assert set(restrictions(home).posts) == {"10", "11", "12"}


def test_what_is_forgotten_is_not_taken_again_and_leaves_no_text(home):
    with live_log(home) as log:
        log.record([Event("forget_post", "1"), Event("forget_author", "bo")], FixedClock())
    report = take(home, version("1", 0), version("2", 0, author="bo"), version("3", 0))
    assert (report.added, report.set_aside) == (1, {"forgotten": 2})
    assert "as of" not in open(report.set_aside_path).read()


def test_a_scrubbed_place_is_not_taken_in(home):
    with live_log(home) as log:
        log.record(
            [Event("scrub_place", "ada", value="9"), Event("scrub_place", "bo")], FixedClock()
        )
    here = {"place": "a tower"}
    take(
        home,
        version("9", 0, **here),
        version("10", 0, **here),
        version("11", 0, author="bo", **here),
    )
    rows = [row for batch in open_lake(home).batches(["id", "place"]) for row in batch.to_pylist()]
    assert {row["id"]: row["place"] for row in rows} == {"9": None, "10": "a tower", "11": None}


def one_by_one(posts):
    """Yield each version of a post as a batch of its own."""
    for id_, number in posts:
        yield to_batch([version(id_, number)]), []


versions = st.tuples(st.sampled_from("abc"), st.integers(0, 3))


@settings(max_examples=40)
@given(
    st.lists(st.lists(versions, min_size=1, max_size=6), min_size=1, max_size=4), st.integers(1, 4)
)
def test_the_newest_version_holds_and_no_row_is_uncounted(tmp_path_factory, ingests, piece):
    home = create_home(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest, "PIECE_POSTS", piece)
        for number, posts in enumerate(ingests):
            read = partial(one_by_one, posts)
            report = ingest_batches(home, "test", f"k{number}", read, CONTEXT)
            taken = (
                report.added + report.edited + report.already_there + sum(report.set_aside.values())
            )
            assert report.read == taken == len(posts)
    newest = {}
    for id_, number in (one for posts in ingests for one in posts):
        newest[id_] = max(number, newest.get(id_, 0))
    assert texts(home) == {id_: f"{id_} as of {number}" for id_, number in newest.items()}
