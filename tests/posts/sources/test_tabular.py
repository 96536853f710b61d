"""Tables: a row is taken as it is, or set aside with the reason."""

import gzip
import json
import zipfile
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from rookery.core.errors import DataError, UsageError
from rookery.posts.post import POST_SCHEMA
from rookery.posts.sources.tables.judging import TableOptions
from rookery.posts.sources.tabular import columns_of, open_table, read_column


def posts_of(path, mapping=None, **options):
    table = open_table(path, TableOptions(mapping, **options))
    table.check()
    batches = list(table.read())
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
        'two\nlines, "quoted"', FIVE, "unknown", "csv"
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
        b'{"id": 2, "text": "half \\ud83d", "author": "bo", "created": 1577856600}',
        b'{"id": 3, "text": null, "author": "bo", "created": 1577856600}',
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
        open_table(path, TableOptions(mapping))
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
    aside = [item for _, aside in open_table(path).read() for item in aside]
    assert [item.reason for item in aside] == ["wrong_number_of_columns"] * 2


@pytest.mark.parametrize(
    ("name", "mark"), [("posts.csv", ";"), ("posts.csv", "\t"), ("posts.tsv", "\t")]
)
def test_columns_may_stand_between_semicolons_or_tabs(tmp_path, name, mark):
    path = tmp_path / name
    rows = [["text", "author", "created"], ['"rooks, elms; all"', "ada", "2026-01-01 10:00:00 UTC"]]
    path.write_text("".join(mark.join(row) + "\n" for row in rows))
    (post,), aside = posts_of(path)
    assert (post["text"], aside) == ("rooks, elms; all", [])
    assert post["created"] == datetime(2026, 1, 1, 10, tzinfo=UTC)


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
        open_table(path)


MAP = {"text": "text", "author": "author", "created": "created", "id": "id"}


@pytest.mark.parametrize(
    ("mapping", "visibility", "found"),
    [
        (None, None, "unknown"),
        (MAP, None, "public"),
        (None, "public", "public"),
        (MAP, "followers", "followers"),
    ],
)
def test_a_table_is_public_only_where_somebody_vouched(tmp_path, mapping, visibility, found):
    path = csv_file(tmp_path, HEADER + "1,a,bo,2020-01-01\n")
    (post,), _ = posts_of(path, mapping, visibility=visibility)
    assert post["visibility"] == found
    is_unvouched = open_table(path, TableOptions(mapping, visibility)).unvouched() is not None
    assert is_unvouched == (found == "unknown")


@pytest.mark.parametrize("mapping", [None, MAP])
@pytest.mark.parametrize("name", ["Visibility", " visibility", "author.protected", "isPrivate"])
def test_a_column_about_readers_is_read_or_refuses_the_file(tmp_path, mapping, name):
    word = "followers" if "isib" in name else "true"
    header = f"id,text,author,created,{name}\n"
    (post,), _ = posts_of(csv_file(tmp_path, f"{header}1,a,bo,2020-01-01,{word}\n"), mapping)
    assert post["visibility"] not in ("public", "unlisted")
    with pytest.raises(DataError, match=f"'{name}' speaks of who may read"):
        posts_of(
            csv_file(tmp_path, f"{header}1,a,bo,2020-01-01,17\n"), mapping, visibility="public"
        )


def test_what_says_who_may_read_is_found_inside_objects_and_far_down(tmp_path):
    rows = [{"id": n, "text": "a", "user": {"name": "bo"}, "at": "2020-01-01"} for n in range(1100)]
    rows[-1]["user"] = {"name": "cy", "protected": True}
    mapping = {"id": "id", "text": "text", "author": "user.name", "created": "at"}
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    posts, _ = posts_of(path, mapping)
    assert (posts[-1]["author"], posts[-1]["visibility"]) == ("cy", "followers")
    user = [row["user"] | {"protected": row["user"]["name"] == "cy"} for row in rows]
    columns = {name: [row[name] for row in rows] for name in ("id", "text", "at")}
    pq.write_table(pa.table(columns | {"user": user}), tmp_path / "x.parquet")
    posts, _ = posts_of(tmp_path / "x.parquet", mapping)
    assert {post["author"]: post["visibility"] for post in posts} == {
        "bo": "public", "cy": "followers"
    }  # fmt: skip


def test_lines_that_repeat_others_are_set_aside_without_their_words(tmp_path):
    rows = "1,RT @ada: words,bo,2020-01-01\n2,not RT @ada,bo,2020-01-01\n"
    (post,), (aside,) = posts_of(csv_file(tmp_path, HEADER + rows))
    assert post["id"] == "2"
    assert (aside.reason, aside.row) == ("repost", {"id": "1", "author": "bo"})


def test_a_row_that_is_set_aside_leaves_its_names_and_the_value_that_was_wrong(tmp_path):
    rows = "1,words,bo,soon\n2,words\n,words,bo,2020-01-01\n4,words,bo,2020-01-01\n"
    _, aside = posts_of(csv_file(tmp_path, HEADER + rows))
    assert {item.reason: item.row for item in aside} == {
        "bad_time": {"id": "1", "author": "bo", "created": "soon"},
        "wrong_number_of_columns": None,
        "no_id": {"id": "", "author": "bo"},
    }


@pytest.mark.parametrize("field", ["id", "author", "reply_to", "conversation"])
def test_rounded_ids_refuse_the_file_by_the_column(tmp_path, field):
    values = {"id": "7", "text": "1e5", "author": "8", "created": "2020-01-01", "reply_to": "9",
              "conversation": "10"}  # fmt: skip
    lines = [values | {field: value} for value in ("1.23457E+17", "1.23458E+17")]
    text = "".join(",".join(row) + "\n" for row in [values, *(line.values() for line in lines)])
    with pytest.raises(DataError, match=rf"'{field}' .*'1.23457E\+17' and '1.23458E\+17'"):
        posts_of(csv_file(tmp_path, text))


def test_words_for_nothing_are_nothing_but_in_a_text(tmp_path):
    header = "id,text,author,created,reply_to,conversation,lang,alt_text\n"
    rows = "1,NULL,bo,2020-01-01,nan,NaN,nan,None\n2,NA,cy,2020-01-01,12.0,\\N,en,a cat\n"
    posts, aside = posts_of(csv_file(tmp_path, header + rows + "3,a,nan,2020-01-01,,,,\n"))
    fields = ("text", "reply_to", "conversation", "language", "alt_text")
    assert [tuple(post[name] for name in fields) for post in posts] == [
        ("NULL", None, None, None, None), ("NA", "12", None, "en", "a cat")
    ]  # fmt: skip
    assert [item.reason for item in aside] == ["no_author"]


def test_headers_may_have_blanks_and_capitals(tmp_path):
    header = "ID, Full Text ,userName,Created At,Consent-Training\n"
    (post,), _ = posts_of(csv_file(tmp_path, header + "1, a word, bo ,2020-01-01 05:30,no\n"))
    assert (post["id"], post["text"], post["author"]) == ("1", " a word", "bo")
    assert (post["created"], post["consent_training"]) == (FIVE, False)
    mapping = {"text": "Full Text", "author": "userName", "created": "Created At"}
    assert len(posts_of(csv_file(tmp_path, header + "1,a,bo,2020-01-01,\n"), mapping)[0]) == 1


@pytest.mark.parametrize("name", ["text", "visibility"])
def test_a_column_that_is_read_and_is_there_twice_is_refused(tmp_path, name):
    text = f"id,text,author,created,visibility,{name}\n1,a,bo,2020-01-01,public,direct\n"
    with pytest.raises(DataError, match=f"two columns '{name}'"):
        posts_of(csv_file(tmp_path, text))


def test_a_json_list_is_a_table(tmp_path):
    rows = [{"id": 1, "text": "a", "author": "bo", "created": "2020-01-01"}, 7, {"id": 2}]
    (tmp_path / "x.json").write_text(json.dumps(rows, indent=1))
    (post,), aside = posts_of(tmp_path / "x.json")
    assert (post["id"], post["source"]) == ("1", "json")
    assert [(item.where, item.reason) for item in aside] == [
        ("item 2", "not_a_json_object"), ("item 3", "bad_time")
    ]  # fmt: skip


def zipped(tmp_path, **members):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "."), data)
    return path


def test_a_zipped_table_is_read(tmp_path):
    rows = [{"id": n, "text": "a", "author": "bo", "created": FIVE.isoformat()} for n in range(3)]
    csv = HEADER + "".join(f"{n},a,bo,2020-01-01 05:30\n" for n in range(3))
    lines = "\n".join(map(json.dumps, rows))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    expected = [(str(n), FIVE) for n in range(3)]
    for member in (
        {"in/posts__csv": csv, "__MACOSX/in/.posts__csv": b"\0", "README__txt": "words"},
        {"posts__jsonl": lines}, {"posts__json": json.dumps(rows)},
        {"posts__parquet": sink.getvalue().to_pybytes()},
    ):  # fmt: skip
        posts, _ = posts_of(zipped(tmp_path, **member))
        assert [(post["id"], post["created"]) for post in posts] == expected


def test_a_zip_of_several_tables_is_refused_by_their_names(tmp_path):
    with pytest.raises(DataError, match=r"2 files: a\.csv, b\.csv"):
        posts_of(zipped(tmp_path, a__csv=HEADER, b__csv=HEADER))


@pytest.mark.parametrize(
    ("mapping", "options", "described"),
    [
        (MAP, {}, {}),
        (None, {"visibility": "public"}, {}),
        (None, {}, {"visibility": "unknown"}),
        (MAP, {"visibility": "followers"}, {"visibility": "followers"}),
    ],
)
def test_a_reading_that_did_not_change_is_described_as_it_was(
    tmp_path, mapping, options, described
):
    path = csv_file(tmp_path, HEADER + "1,a,bo,1/2/2020 5:30\n2,a,bo,1/13/2020 5:30\n")
    earlier = {"format": "csv", "map": MAP}
    found = open_table(path, TableOptions(mapping, **options)).description()
    assert found == earlier | described
    path = csv_file(tmp_path, "id,text,author,created,visibility\n1,a,bo,2020-01-01,public\n")
    found = open_table(path, TableOptions(mapping, **options)).description()
    assert found == earlier | {"map": MAP | {"visibility": "visibility"}}
