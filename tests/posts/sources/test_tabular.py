"""Tables: a row is taken as it is, or set aside with the reason."""

import gzip
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from rookery.core.errors import DataError, UsageError
from rookery.posts.post import POST_SCHEMA
from rookery.posts.sources.tabular import (
    columns_of,
    read_column,
    read_posts,
    resolve_mapping,
)


def posts_of(path, mapping=None):
    batches = list(read_posts(path, resolve_mapping(path, mapping)))
    assert all(batch.schema == POST_SCHEMA for batch, _ in batches)
    return [row for batch, _ in batches for row in batch.to_pylist()], [
        a for _, aside in batches for a in aside
    ]


def csv_file(tmp_path, text, name="posts.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


HEADER = "id,text,author,created\n"
FIVE = datetime(2020, 1, 1, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize("name", ["posts.csv", "posts.csv.gz", "posts.csv.zst", "POSTS.CSV"])
def test_a_csv_is_read_compressed_or_not(tmp_path, name):
    text = HEADER + '1,"two\nlines, ""quoted""",bo,2020-01-01 05:30\n'
    data = {"gz": gzip.compress, "zst": zstandard.compress}.get(name.rsplit(".", 1)[1], bytes)(
        text.encode()
    )
    (tmp_path / name).write_bytes(data)
    (row,), aside = posts_of(tmp_path / name)
    assert (row["text"], row["created"], row["visibility"], row["source"]) == (
        'two\nlines, "quoted"', FIVE, "public", "csv"
    )  # fmt: skip
    assert aside == []


def test_malformed_rows_are_set_aside_and_the_good_ones_taken(tmp_path):
    good = "1,good,bo,2020-01-01\n6,good,bo,2020-01-02\n"
    bad = "2,short\n3,,bo,2020-01-01\n4,no author,,2020-01-01\n5,no time,bo,soon\n"
    rows = good[:21] + bad + good[21:]
    posts, aside = posts_of(csv_file(tmp_path, HEADER + rows))
    assert [post["id"] for post in posts] == ["1", "6"]
    assert sorted(item.reason for item in aside) == [
        "bad_time",
        "no_author",
        "no_text",
        "wrong_number_of_columns",
    ]


def test_malformed_lines_of_jsonl_are_set_aside_with_their_line(tmp_path):
    lines = [
        b'{"id": 1, "text": "good", "author": "bo", "created": 1577856600, "lang": ["de", "en"], '
        b'"likes": 3}',
        b"not json",
        b"",
        b"[1, 2]",
        b"[" * 100_000,
        '{"text": "caf\u00e9"}'.encode("latin-1"),
        b'{"id": 2, "text": "half \\ud83d", "author": "bo", "created": "2020-01-01"}',
        b'{"id": 3, "text": null, "author": "bo", "created": "2020-01-01"}',
    ]
    (tmp_path / "posts.jsonl").write_bytes(b"\n".join(lines))
    posts, aside = posts_of(tmp_path / "posts.jsonl")
    assert [(p["id"], p["text"], p["language"], p["likes"]) for p in posts] == [
        ("1", "good", "de", 3), ("2", "half \ufffd", None, None)
    ]  # fmt: skip
    assert [(item.where, item.reason) for item in aside] == [
        ("line 2", "not_a_json_object"),
        ("line 4", "not_a_json_object"),
        ("line 5", "not_a_json_object"),
        ("line 6", "not_utf8"),
        ("line 8", "no_text"),
    ]


def test_columns_of_jsonl_are_those_of_all_its_first_rows(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "a"}\n{"text": "b", "lang": "en"}\n')
    assert columns_of(path) == ["text", "lang"]


def test_a_row_without_id_gets_one_that_stays_the_same(tmp_path):
    path = csv_file(tmp_path, "text,author,created\nhello,bo,2020-01-01\nhello,cy,2020-01-01\n")
    first, second = (post["id"] for post in posts_of(path)[0])
    assert first != second
    assert [post["id"] for post in posts_of(path)[0]] == [first, second]


def test_rights_columns_are_read_even_when_they_are_not_mapped(tmp_path):
    header = "id,body,author,created,visibility,consent_training\n"
    rights = ("Public,", "friends,no", ",yes", "direct,maybe")
    rows = "".join(f"{n},a,bo,2020-01-01,{right}\n" for n, right in enumerate(rights))
    posts, _ = posts_of(
        csv_file(tmp_path, header + rows),
        {"text": "body", "author": "author", "created": "created", "id": "id"},
    )
    assert [p["visibility"] for p in posts] == ["public", "unknown", "unknown", "direct"]
    assert [p["consent_training"] for p in posts] == [None, False, True, False]


def test_numbers_and_references_that_are_not_there_are_null(tmp_path):
    header = "id,text,author,created,like_count,reply_to\n"
    rows = "1,a,bo,2020-01-01,12.0,7\n2,b,bo,2020-01-01,,\n3,c,bo,2020-01-01,many,\n"
    posts, aside = posts_of(csv_file(tmp_path, header + rows))
    assert [(p["likes"], p["reply_to"]) for p in posts] == [(12, "7"), (None, None), (None, None)]
    assert aside == []


def test_parquet_of_other_types_is_read(tmp_path):
    table = pa.table(
        {
            "id": pa.array([1, 2], pa.uint32()),
            "text": pa.array(["a", "b"], pa.large_string()),
            "author": pa.array([7, 8]),
            "created": pa.array([FIVE, None], pa.timestamp("ns", tz="Europe/Berlin")),
            "langs": pa.array([["de"], []], pa.large_list(pa.large_string())),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    (post,), (aside,) = posts_of(tmp_path / "x.parquet")
    assert (post["id"], post["author"], post["created"], post["language"]) == ("1", "7", FIVE, "de")
    assert (aside.where, aside.reason) == ("row 2", "bad_time")


def test_parquet_with_bytes_that_are_no_text_is_refused(tmp_path):
    columns = {
        "text": pa.array([b"caf\xe9"], pa.binary()).view(pa.string()),
        "author": ["bo"],
        "created": [FIVE],
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="UTF8"):
        posts_of(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"text": "body"}, "there is no column 'body'"),
        ({"txt": "text"}, "there is no field 'txt'"),
        ({"text": "text"}, "which column is author and which is created?"),
    ],
)
def test_a_wrong_mapping_says_what_there_is(tmp_path, mapping, message):
    path = csv_file(tmp_path, HEADER)
    with pytest.raises((UsageError, DataError)) as error:
        resolve_mapping(path, mapping)
    assert message in error.value.line()


def test_one_column_is_read_without_its_gaps(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "a"}\n{"other": 1}\n{"text": "b"}\n')
    assert read_column(path, "text") == ["a", "b"]
    with pytest.raises(DataError, match="It has: text, other"):
        read_column(path, "words")


@pytest.mark.parametrize("good", ["", "ada,2026-01-01,rooks\n"])
def test_the_last_rows_of_a_csv_file_are_set_aside_even_if_no_good_one_follows(tmp_path, good):
    path = tmp_path / "posts.csv"
    path.write_text(f"author,created,text\n{good}" + "ada,2026-01-01\n" * 2)
    mapping = resolve_mapping(path, None)
    aside = [item for _, aside in read_posts(path, mapping) for item in aside]
    assert [item.reason for item in aside] == ["wrong_number_of_columns"] * 2


@pytest.mark.parametrize(
    ("name", "mark"), [("posts.csv", ";"), ("posts.csv", "\t"), ("posts.tsv", "\t")]
)
def test_columns_may_stand_between_semicolons_or_tabs(tmp_path, name, mark):
    path = tmp_path / name
    rows = [["text", "author", "created"], ['"rooks, elms; all"', "ada", "2026-01-01 10:00:00 UTC"]]
    path.write_text("".join(mark.join(row) + "\n" for row in rows))
    [(posts, aside)] = read_posts(path, resolve_mapping(path, None))
    assert (posts["text"].to_pylist(), aside) == (["rooks, elms; all"], [])
    assert posts["created"].to_pylist() == [datetime(2026, 1, 1, 10, tzinfo=UTC)]


@pytest.mark.parametrize("column", ["text", "likes"])
def test_a_column_of_records_is_named_in_the_refusal(tmp_path, column):
    path = tmp_path / "posts.parquet"
    columns = {
        "text": ["rooks"],
        "author": ["ada"],
        "created": ["2026-01-01"],
        "langs": [["en", "de"]],
    }
    pq.write_table(pa.table(columns | {column: [{"a": 1}]}), path)
    with pytest.raises(DataError, match=f"'{column}' holds struct"):
        list(read_posts(path, resolve_mapping(path, None)))
