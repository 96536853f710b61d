"""The lake: a write is there whole or not at all, and readers are not disturbed by it."""

import subprocess
import sys
from dataclasses import fields
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import write_deltalake

from rookery.core.digest import digest_file
from rookery.core.errors import BusyError, UsageError
from rookery.core.home import create_home
from rookery.posts import lake
from rookery.posts.lake import (
    Replacements,
    append,
    find_ingest,
    find_lake,
    open_lake,
    remove_replaced,
    write,
)
from rookery.posts.post import POST_SCHEMA, Post, from_row, to_batch, to_table


def all_posts(home):
    return [from_row(row) for batch in open_lake(home).batches() for row in batch.to_pylist()]


def test_posts_come_back_as_they_went_in(home, a_post, put):
    posts = [
        a_post("one", language="en", likes=3, consent_ads=False),
        a_post("zwei\n", reply_to="1", alt_text="ein Bild"),
    ]
    put(*posts)
    assert all_posts(home) == posts


def test_a_reader_whose_files_are_erased_is_told_so_in_one_line(home, a_post, put):
    put(a_post())
    found = find_lake(home)
    for path in found.paths():
        path.unlink()
    for read in (lambda: found.count(pc.field("id") == "1"), lambda: list(found.batches(["id"]))):
        with pytest.raises(BusyError, match="being erased"):
            read()


def test_an_ingest_is_found_by_its_key(home, a_post, put):
    assert find_ingest(home, "a") is None
    put(a_post(), a_post(), key="a")
    put(key="nothing new")
    assert (find_ingest(home, "a"), find_ingest(home, "nothing new"), find_ingest(home, "b")) == (
        2,
        0,
        None,
    )


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


def test_rows_are_replaced_in_one_version_and_other_months_are_left_alone(home, a_post, put):
    old = [a_post(id="1"), a_post(id="2"), a_post(id="3", created=datetime(2020, 5, 5, tzinfo=UTC))]
    put(*old)
    elsewhere = [path for path in open_lake(home).paths() if "2020-05" in str(path)]
    replacement = a_post("instead", id="1")
    write(
        home,
        [to_batch([a_post(id="4")])],
        "b",
        lambda: Replacements(pa.array(["1", "2"]), [to_batch([replacement])]),
    )
    assert {p.id: p.text for p in all_posts(home)} == {
        "1": "instead",
        "3": old[2].text,
        "4": old[0].text,
    }
    assert open_lake(home).version == 1
    assert set(elsewhere) <= set(open_lake(home).paths())


def test_readers_of_the_version_before_go_on_until_it_is_said_that_they_must_not(home, a_post, put):
    put(a_post(id="1"))
    before = open_lake(home)
    write(home, [], "b", lambda: Replacements(pa.array(["1"])))
    put(a_post(id="2"), key="c")
    assert [batch["id"].to_pylist() for batch in before.batches(["id"])] == [["1"]]
    assert len(remove_replaced(home, 0)) == 1
    assert sorted(home.lake.rglob("*.parquet")) == open_lake(home).paths()


def test_earlier_files_go_also_where_another_month_has_one_of_the_same_name(home, a_post, put):
    put(a_post(id="1"), a_post(id="2", created=datetime(2026, 5, 1, tzinfo=UTC)))
    write(home, [], "b", lambda: Replacements(pa.array(["1"])), at_once=True)
    assert sorted(home.lake.rglob("*.parquet")) == open_lake(home).paths()


def test_a_replacement_killed_before_its_commit_leaves_the_version_before_whole(
    home, a_post, put, tmp_path
):
    put(*(a_post(id=str(n)) for n in range(20)))
    name = open_lake(home).name
    script = (
        "import os, signal, sys, pathlib, pyarrow as pa\n"
        "from rookery.core.home import open_home\n"
        "from rookery.posts import lake\n"
        "lake._commit = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "replacements = lake.Replacements(pa.array(['1', '2']))\n"
        "lake.write(open_home(pathlib.Path(sys.argv[1])), [], 'b', lambda: replacements)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, home.path], check=False)
    assert killed.returncode == -9
    assert open_lake(home).name == name
    assert len(all_posts(home)) == 20
    assert len(list(home.lake.rglob("*.parquet"))) == 2
    write(home, [], "b", lambda: Replacements(pa.array(["1", "2"])), at_once=True)
    assert len(all_posts(home)) == 18
    assert sorted(home.lake.rglob("*.parquet")) == open_lake(home).paths()


def test_a_month_of_many_small_writes_is_put_together(home, a_post, put, monkeypatch):
    monkeypatch.setattr(lake, "MOST_FILES", 4)
    for n in range(9):
        put(a_post(id=str(n)), key=str(n))
    assert sorted(post.id for post in all_posts(home)) == [str(n) for n in range(9)]
    assert len(open_lake(home).paths()) <= 4


def test_a_lake_of_another_release_is_refused_in_one_line(home, a_post):
    rows = to_table([a_post()]).drop_columns(["edited", "version_of", "place"])
    write_deltalake(
        str(home.lake), rows.append_column("month", pa.array(["2026-01"])), partition_by=["month"]
    )
    with pytest.raises(UsageError, match="another release"):
        open_lake(home)


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


def test_the_lakes_name_and_its_ingests_are_known_without_its_early_commits(home, a_post):
    """A stream makes thousands of commits: neither question may read them all."""
    for number in range(3):
        lake.append(home, to_table([a_post()]).to_batches(), f"ingest-{number}")
    name = lake.open_lake(home).name
    lake.open_lake(home).table.create_checkpoint()
    for number in range(2):
        (home.lake / "_delta_log" / f"{number:020d}.json").unlink()
    assert lake.open_lake(home).name == name
    assert [lake.find_ingest(home, f"ingest-{number}") for number in (0, 2, 3)] == [1, 1, None]
