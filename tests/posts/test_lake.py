"""The lake: a write is there whole or not at all."""

from dataclasses import fields
from datetime import UTC, datetime

import pytest

from rookery.core.digest import digest_file
from rookery.core.errors import UsageError
from rookery.core.home import create_home
from rookery.posts.lake import append, find_ingest, find_lake, open_lake
from rookery.posts.post import POST_SCHEMA, Post, from_row, to_batch


def all_posts(home):
    return [from_row(row) for batch in open_lake(home).batches() for row in batch.to_pylist()]


def test_posts_come_back_as_they_went_in(home, a_post, put):
    posts = [
        a_post("one", language="en", likes=3, consent_ads=False),
        a_post("zwei\n", reply_to="1", alt_text="ein Bild"),
    ]
    put(*posts)
    assert all_posts(home) == posts


def test_an_ingest_is_found_by_its_key(home, a_post, put):
    assert find_ingest(home, "a") is None
    put(a_post(), a_post(), key="a")
    put(key="nothing new")
    assert (find_ingest(home, "a"), find_ingest(home, "nothing new"), find_ingest(home, "b")) == (2, 0, None)


def test_two_homes_with_the_same_ingests_have_the_same_name_and_bytes(home, a_post, put, tmp_path):
    posts, other = [a_post(), a_post()], create_home(tmp_path / "other")
    put(*posts, key="a")
    append(other, [to_batch(posts)], "a")
    assert open_lake(home).name == open_lake(other).name
    files = [sorted(digest_file(p) for p in h.lake.rglob("*.parquet")) for h in (home, other)]
    assert files[0] == files[1]
    put(a_post(), key="b")
    assert open_lake(home).name != open_lake(other).name


def test_a_write_that_fails_leaves_nothing_and_says_why(home, a_post, put):
    put(a_post())
    before = sorted(home.lake.rglob("*"))

    def broken():
        yield to_batch([a_post()])
        raise UsageError("the source went away")

    with pytest.raises(UsageError, match="the source went away"):
        append(home, broken(), "broken")
    assert sorted(home.lake.rglob("*")) == before
    assert open_lake(home).count() == 1


def test_files_of_a_killed_write_are_removed_by_the_next_and_never_read(home, a_post, put):
    put(a_post())
    left = next(home.lake.glob("month=*")) / "00000001-killed-0.parquet"
    left.write_bytes(b"half a file")
    assert open_lake(home).count() == 1
    put(a_post(), key="next")
    assert not left.exists()
    assert open_lake(home).count() == 2


@pytest.mark.parametrize("year", [1, 1969, 9999])
def test_posts_of_any_year_can_be_kept(home, put, a_post, year):
    post = a_post(created=datetime(year, 12, 31, tzinfo=UTC))
    put(post)
    assert all_posts(home) == [post]


def test_a_lake_of_many_months_is_written_at_once(home, a_post, put):
    put(*(a_post(created=datetime(2000 + n // 12, n % 12 + 1, 1, tzinfo=UTC)) for n in range(300)))
    assert open_lake(home).count() == 300


def test_without_posts_the_mend_is_named(home):
    assert find_lake(home) is None
    with pytest.raises(UsageError, match="rookery posts ingest"):
        open_lake(home)


def test_a_post_has_the_fields_of_the_schema_in_their_order():
    assert [f.name for f in fields(Post)] == POST_SCHEMA.names
