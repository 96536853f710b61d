"""Ingest through the real command line: all or nothing, once each, and every row accounted for."""

import gzip
import json
import os
import resource
import signal
import time
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from disk import small_disk

from rookery.core.context import Context, FixedClock
from rookery.core.digest import digest_bytes, digest_file
from rookery.core.home import create_home
from rookery.core.locks import exclusive
from rookery.posts.ingest import ingest
from rookery.posts.lake import find_lake, open_lake

HEADER = "id,text,author,created\n"
CONTEXT = Context(FixedClock())


def rows(*ids):
    return "".join(f"{i},post {i},bo,2020-0{i % 9 + 1}-01\n" for i in ids)


def files_in(home):
    """Return all files of a home but locks: the lake's data and log, and what was set aside."""
    return sorted(
        p.relative_to(home.path).as_posix()
        for p in home.path.rglob("*")
        if p.is_file() and p.suffix != ".lock"
    )


def ids_in(home):
    return sorted(i for batch in open_lake(home).batches(["id"]) for i in batch["id"].to_pylist())


@pytest.fixture
def write(tmp_path):
    def write(name, data):
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return write


def test_posts_are_taken_and_stats_count_them(rookery, write):
    report = rookery("posts", "ingest", write("a.csv", HEADER + rows(1, 2, 3)), "--json").json()
    assert (report["format"], report["read"], report["added"]) == ("csv", 3, 3)
    counts = rookery("posts", "stats", "--json").json()
    assert (counts["posts"], counts["authors"]) == (3, 1)
    assert counts["dropped"] == {"visibility_unknown": 3}


def test_the_same_ingest_again_adds_nothing(rookery, home, write):
    path = write("a.csv", HEADER + rows(1, 2) + "3,short\n")
    first = rookery("posts", "ingest", path, "--json").json()
    before = files_in(home)
    again = rookery("posts", "ingest", path, "--json").json()
    assert files_in(home) == before
    assert again == first | {"added": 0, "already_there": 2}


def test_a_post_that_is_there_is_not_added_again_and_other_words_under_its_id_are_set_aside(
    rookery, home, write
):
    rookery("posts", "ingest", write("a.csv", HEADER + rows(1, 2)))
    other = "2,other words,bo,2020-01-01\n3,other words,bo,2020-01-01\n"
    report = rookery(
        "posts", "ingest", write("b.csv", HEADER + rows(2, 3, 3) + other), "--json"
    ).json()
    assert (report["read"], report["added"], report["already_there"]) == (5, 1, 2)
    assert report["set_aside"] == {"id_taken": 2}
    assert ids_in(home) == ["1", "2", "3"]


def test_rows_that_cannot_be_taken_are_written_down_with_file_place_and_reason(rookery, write):
    text = HEADER + rows(1, 4) + "2,short\n3,,bo,2020-01-01\n"
    report = rookery("posts", "ingest", write("a.csv", text), "--json").json()
    assert report["read"] == report["added"] + sum(report["set_aside"].values()) == 4
    noted = [json.loads(line) for line in open(report["set_aside_path"], encoding="utf-8")]
    assert {(item["where"].split(",")[0], item["reason"]) for item in noted} == {
        ("a.csv", "wrong_number_of_columns"), ("a.csv", "no_text")
    }  # fmt: skip


def test_several_files_are_one_transaction(rookery, home, write):
    good, bad = (
        write("a.csv", HEADER + rows(1, 2)),
        write("b.csv", HEADER.encode() + b"3,caf\xe9,bo,2020-01-01\n"),
    )
    assert rookery("posts", "ingest", good, bad).code == 2
    assert find_lake(home) is None
    rookery("posts", "ingest", good, write("c.csv", HEADER + rows(3)))
    assert ids_in(home) == ["1", "2", "3"]
    assert open_lake(home).version == 0


def test_limit_takes_the_first_rows(rookery, home, write):
    rookery("posts", "ingest", write("a.csv", HEADER + rows(*range(1, 9))), "--limit", 3)
    assert ids_in(home) == ["1", "2", "3"]


def cut(data, share=0.6):
    return data[: int(len(data) * share)]


def a_parquet(n=1000):
    columns = {
        "text": [f"post {i * 7919}" for i in range(n)],
        "author": ["bo"] * n,
        "created": ["2020-01-01"] * n,
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="none", use_dictionary=False)
    return sink.getvalue().to_pybytes()


BAD_INPUT = {
    "empty.csv": ("", "the file is empty"),
    "only_header.csv": (HEADER, "there is not one row"),
    "columns.csv": ("a,b\n1,2\n", "which column is text and which is author and which is created?"),
    "latin1.csv": (
        "id,text,author,created\n1,café,bo,2020-01-01\n".encode("latin-1"),
        "Convert it to UTF-8",
    ),
    "latin1_header.csv": ("id,text,author,créé\n1,a,bo,2020-01-01\n".encode("latin-1"), "UTF-8"),
    "utf16.csv": ((HEADER + rows(1)).encode("utf-16"), "utf16.csv"),
    "cut.csv.gz": (
        cut(gzip.compress((HEADER + rows(*range(500))).encode())),
        "damaged or cut short",
    ),
    "not.csv.gz": (b"plain words", "damaged or cut short"),
    "not.csv.zst": (b"plain words", "damaged or cut short"),
    "cut.csv.zst": (
        cut(zstandard.compress((HEADER + rows(*range(500))).encode())),
        "damaged or cut short",
    ),
    "cut.jsonl.zst": (cut(zstandard.compress(b'{"id": 1}' * 500)), "damaged or cut short"),
    "cut.zip": (b"PK\x03\x04 and no more", "damaged or cut short"),
    "cut.parquet": (cut(a_parquet()), "cannot be read"),
    "broken.parquet": (a_parquet().replace(b"post 7919", b"\xff" * 9), "cannot be read"),
    "no_object.jsonl": ("[1]\nwords\n", "no line of the file is a JSON object"),
    "letter.txt": ("dear all", "not a table that can be read"),
    "no_suffix": ("dear all", "not a table that can be read"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_one_line_and_leaves_the_lake_as_it_was(rookery, home, write, name):
    rookery("posts", "ingest", write("good.csv", HEADER + rows(1, 2)))
    before = files_in(home)
    data, message = BAD_INPUT[name]
    ran = rookery("posts", "ingest", write(name, data))
    assert (ran.code, len(ran.said), ran.out) == (2, 1, "")
    assert message in ran.err
    assert files_in(home) == before
    assert ids_in(home) == ["1", "2"]


def test_a_file_that_is_not_there_or_an_empty_folder_is_one_line(rookery, home, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name, message in (
        ("nothing.csv", "there is no such file"),
        ("folder.csv", "no file of a known format"),
    ):
        ran = rookery("posts", "ingest", tmp_path / name)
        assert (ran.code, len(ran.said)) == (2, 1)
        assert message in ran.err
    assert find_lake(home) is None


def test_a_second_ingest_at_the_same_time_is_refused(rookery, home, write):
    with exclusive(home.path / "lake.lock", "the lake"):
        ran = rookery("posts", "ingest", write("a.csv", HEADER + rows(1)))
    assert (ran.code, len(ran.said)) == (2, 1)
    assert "another process is working on the lake" in ran.err


def a_big_csv(n=60_000):
    """Return a table of posts whose texts hardly compress: some three megabytes."""
    return HEADER + "".join(
        f"{i},{digest_bytes(b'%d' % i)},bo,2020-0{i % 9 + 1}-01\n" for i in range(n)
    )


@pytest.fixture
def tiny_disk(tmp_path):
    """Mount a folder with room for one megabyte."""
    with small_disk(tmp_path / "tiny"):
        yield tmp_path / "tiny"


def ended(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, [line for line in err.splitlines() if line.strip()]


def test_a_full_disk_is_one_line_and_leaves_the_lake_as_it_was(
    start_rookery, home, write, tiny_disk
):
    tiny = create_home(tiny_disk / "home")
    ingest(tiny, [write("good.csv", HEADER + rows(1, 2))], None, CONTEXT)
    before = files_in(tiny)
    code, out, said = ended(
        start_rookery("posts", "ingest", write("big.csv", a_big_csv()), at=tiny)
    )
    assert (code, len(said), out) == (2, 1, ""), said
    assert "the disk is full" in said[0]
    assert files_in(tiny) == before
    assert ids_in(tiny) == ["1", "2"]


def test_a_file_that_may_not_grow_is_one_line_and_leaves_the_lake_as_it_was(
    start_rookery, home, write
):
    ingest(home, [write("good.csv", HEADER + rows(1, 2))], None, CONTEXT)
    before = files_in(home)
    limits = resource.RLIMIT_FSIZE, (100_000, 100_000)
    big = write("big.csv", a_big_csv())
    process = start_rookery("posts", "ingest", big, preexec_fn=lambda: resource.setrlimit(*limits))
    code, out, said = ended(process)
    assert (code, len(said), out) == (2, 1, ""), said
    assert "the disk is full" in said[0]
    assert files_in(home) == before


MAP = "text=content,author=author_id,created=created_at,language=language,id=post_id"


@pytest.mark.slow
def test_an_ingest_of_a_million_tweets_killed_anywhere_is_whole_after_the_next(
    start_rookery, home, shared_data, tmp_path
):
    path = shared_data / "tweets_ira" / "tweets.parquet"
    mapping = dict(pair.split("=") for pair in MAP.split(","))
    undisturbed = create_home(tmp_path / "undisturbed")
    report = ingest(undisturbed, [path], mapping, CONTEXT)
    assert (report.added, report.set_aside) == (1_228_457, {"repost": 6_635})
    for files_written in (1, 40):
        process = start_rookery("posts", "ingest", path, "--map", MAP)
        while len(list(home.lake.glob("*/*.parquet"))) < files_written and process.poll() is None:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert find_lake(home) is None
    code, _, said = ended(start_rookery("posts", "ingest", path, "--map", MAP))
    assert code == 0, said
    assert open_lake(home).count() == report.added
    assert open_lake(home).name == open_lake(undisturbed).name
    assert data_of(home) == data_of(undisturbed)


def data_of(home):
    return {
        p.relative_to(home.lake).as_posix(): digest_file(p) for p in home.lake.rglob("*.parquet")
    }


@pytest.mark.parametrize(
    ("files", "mapping", "added"),
    [
        ("tweets_ira/raw_csv_sample/*.csv", None, 992),
        ("posts_bluesky/nytimes_posts.parquet", None, 6271),
        ("posts_bluesky/sports_snowball.parquet", None, 1407),
        ("tweets_engagement_538/BarackObama.parquet", None, 2856),
        ("formats/reddit/*.ndjson", None, 1),
        ("formats/x_archive/*.zip", None, 1),
    ],
)
def test_real_files_are_taken_by_the_names_of_their_columns(
    home, shared_data, files, mapping, added
):
    after_all_of_them = Context(FixedClock(datetime(2027, 1, 1, tzinfo=UTC)))
    report = ingest(home, sorted(shared_data.glob(files)), mapping, after_all_of_them)
    assert report.added >= added
    assert report.read == report.added + report.already_there + sum(report.set_aside.values())


def test_a_real_file_in_no_known_encoding_is_refused_in_one_line(rookery, shared_data):
    ran = rookery(
        "posts",
        "ingest",
        shared_data / "tweets_engagement_538" / "BarackObama_as_published_mojibake.csv.gz",
    )
    assert (ran.code, len(ran.said)) == (2, 1)
    assert "Convert it to UTF-8" in ran.err


def test_what_a_killed_ingest_left_is_removed_by_the_next_one_whatever_it_takes(home, write):
    home.set_aside.mkdir()
    left = home.set_aside / "follow-000000000001-000000000009.part"
    left.write_text("half a row")
    ingest(home, [write("good.csv", HEADER + rows(1, 2))], None, CONTEXT)
    assert not left.exists()


def test_posts_that_nobody_vouched_for_become_public_when_somebody_does(rookery, home, write):
    path = write("a.csv", HEADER + rows(*range(1, 9)))
    ran = rookery("posts", "ingest", path)
    assert "give the same file with --visibility public, or with --map" in " ".join(ran.said)
    assert rookery("posts", "stats", "--json").json()["dropped"] == {"visibility_unknown": 8}
    report = rookery("posts", "ingest", path, "--visibility", "public", "--json").json()
    assert (report["added"], report["already_there"], report["vouched"]) == (0, 8, 8)
    assert report["notes"] == []
    assert rookery("posts", "stats", "--json").json()["dropped"] == {}
    assert ids_in(home) == sorted(map(str, range(1, 9)))
    again = rookery("posts", "ingest", path, "--json").json()
    assert (again["added"], again["vouched"]) == (0, 0)
    assert rookery("posts", "stats", "--json").json()["dropped"] == {}


def test_a_post_is_vouched_for_once_and_its_edit_counts(rookery, home, write):
    header = "id,text,author,created,edited\n"
    text = header + "1,a,bo,2020-01-01,\n2,b,bo,2020-01-01,\n"
    names = "id=id,text=text,author=author,created=created,edited=edited"
    rookery("posts", "ingest", write("a.csv", text))
    files = [
        write("b.csv", text),
        write("c.csv", header + "1,new,bo,2020-01-01,2020-01-02\n2,b,bo,2020-01-01,\n"),
    ]
    report = rookery("posts", "ingest", *files, "--map", names, "--json").json()
    assert (report["edited"], report["vouched"]) == (1, 1)
    lake = open_lake(home).batches(["id", "text", "visibility"])
    assert sorted(tuple(row.values()) for batch in lake for row in batch.to_pylist()) == [
        ("1", "new", "public"), ("2", "b", "public")
    ]  # fmt: skip


def test_under_half_of_the_rows_refuse_the_file_and_anyway_takes_them(rookery, home, write):
    bad = "".join(f"{n},a,bo,day {n}\n" for n in range(11, 16))
    good = write("good.csv", HEADER + rows(1))
    path = write("bad.csv", HEADER + rows(*range(2, 6)) + bad)
    ran = rookery("posts", "ingest", good, path)
    assert (ran.code, len(ran.said)) == (2, 1)
    for words in ("only 4 of 9", "5 are refused as bad_time", "'day 11', 'day 12', 'day 13'",
                  "bad.csv", "--anyway"):  # fmt: skip
        assert words in ran.err
    assert find_lake(home) is None
    assert rookery("posts", "ingest", good, path, "--anyway").code == 0
    assert ids_in(home) == ["1", "2", "3", "4", "5"]


def test_times_out_of_bounds_count_as_rows_that_are_not_taken(rookery, write):
    path = write("a.csv", HEADER + "1,a,bo,1970-01-01\n2,a,bo,1970-01-02\n" + rows(3))
    ran = rookery("posts", "ingest", path)
    assert ran.code == 2
    assert "2 are refused as wrong_clock: '1970-01-01" in ran.err


def test_reposts_are_no_rows_that_were_not_understood(rookery, home, write):
    path = write("a.csv", HEADER + "1,RT @a b,bo,2020-01-01\n2,RT @a c,bo,2020-01-01\n" + rows(3))
    report = rookery("posts", "ingest", path, "--json").json()
    assert (report["added"], report["set_aside"]) == (1, {"repost": 2})


@pytest.mark.parametrize("order", ["day-first", "month-first"])
def test_dates_that_fit_both_orders_are_asked_for(rookery, home, write, order):
    path = write("a.csv", HEADER + "1,a,bo,5/1/2020 10:00\n2,a,bo,6/1/2020 10:00\n")
    ran = rookery("posts", "ingest", path)
    assert (ran.code, len(ran.said)) == (2, 1)
    assert "--dates" in ran.err
    assert rookery("posts", "ingest", path, "--dates", order).code == 0
    batches = open_lake(home).batches(["created"])
    months = {time.month for batch in batches for time in batch["created"].to_pylist()}
    assert months == ({1} if order == "day-first" else {5, 6})


@pytest.mark.parametrize("option", ["--dates", "--visibility"])
def test_a_word_that_an_option_does_not_take_is_one_line(rookery, write, option):
    ran = rookery("posts", "ingest", write("a.csv", HEADER + rows(1)), option, "odd")
    assert (ran.code, len(ran.said)) == (2, 1)
    assert option in ran.err
