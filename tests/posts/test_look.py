"""`posts look`: shows how a file would be read, and takes nothing."""

import json

import pytest

from rookery.posts.lake import find_lake

HEADER = "ID,Text,Author,Created At,Reply To\n"


@pytest.fixture
def looked(rookery, tmp_path):
    """Look at a file with this text."""

    def looked(text, *options, name="posts.csv"):
        (tmp_path / name).write_text(text)
        return rookery("posts", "look", tmp_path / name, *options)

    return looked


def test_it_shows_columns_readings_and_refusals_and_takes_nothing(looked, home):
    rows = [f"{n}.0,a word,bo,{n}/1/2026,nan" for n in range(13, 23)]
    rows += ["23.0,,bo,1/1/2026,", *(f"{n}.0,a,bo,{when},1.0" for n, when in enumerate("abcd"))]
    ran = looked(HEADER + "\n".join(rows), "--json")
    report = ran.json()
    assert (ran.code, report["format"], report["rows"], report["taken"]) == (0, "csv", 15, 10)
    assert report["columns"] == ["ID", "Text", "Author", "Created At", "Reply To"]
    readings = {row["field"]: row for row in report["readings"]}
    assert readings["created"]["column"] == "Created At"
    assert "day-first" in readings["created"]["reading"]
    assert "'13/1/2026' fits no other order" in readings["created"]["why"]
    assert readings["id"]["reading"] == "ids, without .0"
    assert report["refusals"] == {
        "bad_time": {"rows": 4, "values": ["'a'", "'b'", "'c'"]},
        "no_text": {"rows": 1, "values": ["row 11"]},
    }
    assert report["visibility"] == {"unknown": 10}
    assert "--visibility public" in report["notes"][0]
    assert find_lake(home) is None
    plain = looked(HEADER + "\n".join(rows), "--visibility", "public").out
    assert "day-first" in plain
    assert "bad_time" in plain
    assert "nobody vouched" not in plain


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1.5E+18,a,bo,2020-01-01,\n", "'ID' holds ids that were rounded"),
        ("1,a,bo,1/2/2026,\n", "Give --dates day-first or --dates month-first"),
        ("1,a,bo,soon,\n2,a,bo,2020-01-01,\n3,a,bo,later,\n", "2 are refused as bad_time"),
    ],
)
def test_what_an_ingest_would_refuse_is_shown_and_ends_with_exit_2(rookery, looked, rows, message):
    ran = looked(HEADER + rows, "--json")
    assert ran.code == 2
    assert message in ran.json()["refused"]
    is_a_column = "refused as" not in message
    assert ("refused" in [row["reading"] for row in ran.json()["readings"]]) == is_a_column
    assert message in ran.said[-1]


def test_files_of_other_formats_are_counted(looked):
    line = {"id": "a", "author": "ada", "body": "words", "created_utc": 1420070400,
            "link_id": "t3_b", "subreddit": "x"}  # fmt: skip
    ran = looked("\n".join(map(json.dumps, [line, {"no": "post"}])), "--json", name="a.jsonl")
    report = ran.json()
    assert (report["format"], report["rows"], report["taken"]) == ("reddit", 2, 1)
    assert (report["readings"], report["refused"]) == ([], None)
