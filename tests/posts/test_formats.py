"""Formats: a file is what its first value shows, unless its columns are named for it."""

import json

import pytest

REDDIT = {"id": "a", "author": "ada", "body": "words", "created_utc": 1420070400, "link_id": "t3_b", "subreddit": "x"}
X_API = {"data": {"id": "1", "text": "words", "author_id": "7", "created_at": "2023-02-18T12:33:11Z"}}
TABLE = {"id": "1", "text": "words", "author": "ada", "created": "2023-02-18"}
COLUMNS = "id=id,text=body,author=author,created=created_utc"


@pytest.fixture
def ingested(rookery, tmp_path):
    """The report of an ingest of one file that holds these lines."""

    def ingested(name, *lines, options=()):
        path = tmp_path / name
        path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        return rookery("posts", "ingest", path, *options, "--json").json()

    return ingested


@pytest.mark.parametrize(
    ("name", "line", "form"),
    [
        ("a.jsonl", REDDIT, "reddit"),
        ("a.json", REDDIT, "reddit"),
        ("RC_2015-01", REDDIT, "reddit"),
        ("a.ndjson", X_API, "x_api"),
        ("a.jsonl", TABLE, "jsonl"),
    ],
)
def test_the_format_is_found_and_told(ingested, name, line, form):
    report = ingested(name, line)
    assert (report["format"], report["added"]) == (form, 1)


def test_with_a_map_every_file_is_a_table(ingested):
    report = ingested("a.jsonl", REDDIT, options=("--map", COLUMNS))
    assert (report["format"], report["added"]) == ("jsonl", 1)


def test_a_csv_is_a_table_whatever_its_first_line_says(rookery, tmp_path):
    (tmp_path / "a.csv").write_text(json.dumps(X_API) + "\n1,2\n")
    ran = rookery("posts", "ingest", tmp_path / "a.csv")
    assert (ran.code, len(ran.said)) == (2, 1)
    assert "which column is text" in ran.err


def test_files_of_several_formats_are_one_ingest(rookery, tmp_path):
    for name, line in (("a.jsonl", REDDIT), ("b.jsonl", X_API)):
        (tmp_path / name).write_text(json.dumps(line))
    report = rookery("posts", "ingest", tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--json").json()
    assert (report["format"], report["added"]) == ("reddit, x_api", 2)


def test_the_same_file_read_as_a_table_is_another_ingest(ingested):
    assert ingested("a.jsonl", REDDIT)["added"] == 1
    assert ingested("a.jsonl", REDDIT, options=("--map", COLUMNS))["added"] == 1


def test_posts_whose_account_may_be_protected_are_not_guessed_to_be_public(rookery, tmp_path):
    path = tmp_path / "old.jsonl"
    user = {"screen_name": "ada", "protected": True}
    path.write_text(json.dumps({"id_str": "1", "text": "words", "created_at": "2013-02-04", "user": user}))
    done = rookery("posts", "ingest", path)
    assert done.code == 2
    assert "each with an account inside that may be protected" in done.said[0]
