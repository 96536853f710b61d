"""Rows set aside keep place, reason and names, and no word of what was read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.context import Context
from rookery.posts import set_aside
from rookery.posts.forget import forget
from rookery.posts.ingest import ingest
from rookery.posts.sources.files import SetAside
from rookery.workflows.erase import erase

DELETED = {
    "id": "cnas8zv",
    "author": "ada",
    "body": "wibblenost was what I said",
    "created_utc": 1420070400,
    "link_id": "t3_2qyrla",
    "subreddit": "python",
    "removed_by_category": "deleted",
}
GONE = DELETED | {"id": "gone", "author": "[deleted]", "removed_by_category": None}


@pytest.fixture
def set_aside_of(home, tmp_path):
    """Ingest a file of these values, one a line, and return the lines set aside as text."""

    def set_aside_of(*values, name="a.jsonl", **options):
        path = tmp_path / name
        path.write_text("\n".join(v if isinstance(v, str) else json.dumps(v) for v in values))
        report = ingest(home, [path], context=Context(), **options)
        return open(report.set_aside_path, encoding="utf-8").read()

    return set_aside_of


def test_words_that_their_author_deleted_or_whose_account_is_gone_are_not_kept(set_aside_of):
    text = set_aside_of(DELETED, GONE)
    assert "wibblenost" not in text
    assert [json.loads(line) for line in text.splitlines()] == [
        {"where": "a.jsonl, line 1", "reason": "deleted", "id": "t1_cnas8zv", "author": "ada"},
        {
            "where": "a.jsonl, line 2",
            "reason": "author_deleted",
            "id": "t1_gone",
            "author": "[deleted]",
        },
    ]


def test_the_names_are_those_of_the_log_also_where_a_source_has_a_name(set_aside_of):
    post = {"id": 5, "username": "ada", "topic_id": 1, "post_number": 1, "user_deleted": True}
    topic = {"archetype": "regular", "post_stream": {"posts": [post]}}
    row = json.loads(set_aside_of(topic, name="t.json", source_name="forum.example"))
    assert (row["id"], row["author"]) == ("forum.example/5", "forum.example/ada")


def test_of_a_table_the_time_that_cannot_be_read_is_kept_and_nothing_else(set_aside_of):
    row = {"id": "1", "author": "bo", "text": "wibblenost", "created": "31/31/2020"}
    said = {"id": "2", "author": "bo", "text": "x", "created": "wibblenost at 5"}
    good = [
        {"id": f"{n}", "author": "bo", "text": "y", "created": "31/12/2020"} for n in range(3, 6)
    ]
    text = set_aside_of(row, said, *good)
    assert "wibblenost" not in text
    first, second = map(json.loads, text.splitlines())
    assert (first["id"], first["author"], first["wrong"]) == ("1", "bo", "31/31/2020")
    assert "wrong" not in second


@given(
    st.text(),
    st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
)
def test_whatever_a_source_passes_no_word_of_it_is_written(wrong, row):
    line = json.loads(set_aside.line_of(SetAside("line 1", "no_text", row, "1", "ada", wrong)))
    assert line.keys() <= {"where", "reason", "id", "author", "wrong"}
    letters = "".join(c if c.isalpha() else " " for c in line.get("wrong", "")).lower().split()
    assert set(letters) <= set(set_aside.TIME_WORDS)


EARLIER = [
    {"where": "a.csv, row 1", "reason": "no_time", "row": {"id": 1, "body": "wibblenost"}},
    {"where": "a.csv, row 2", "reason": "not_utf8", "row": "4711,wibblenost"},
    {"where": "id at://x/1", "reason": "deleted_later", "row": {"id": "at://x/1"}},
    {"where": "id 9", "reason": "forgotten", "row": None},
]


def test_an_erasure_reduces_what_an_earlier_release_kept_whether_it_names_anybody_or_not(home):
    home.set_aside.mkdir()
    path = home.set_aside / "old.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in EARLIER))
    assert set_aside.find(home, "1").how == "holds"
    forget(home, ["9"], [], Context())
    erased = {one["place"]: one["count"] for one in erase(home, Context())["erased"]}
    assert erased == {"set aside": 4}
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"where": "a.csv, row 1", "reason": "no_time"},
        {"where": "a.csv, row 2", "reason": "not_utf8"},
        {"where": "id at://x/1", "reason": "deleted_later", "id": "at://x/1"},
        {"where": "erased", "reason": "forgotten"},
    ]
    assert set_aside.find(home, "1") is None
    assert set_aside.find(home, "at://x/1").how == "names"
    assert erase(home, Context())["erased"] == []
    assert set_aside.reasons_in(path).total() == 4


def test_the_name_of_a_file_may_name_an_author_who_is_forgotten(home, set_aside_of):
    good = {"id": "1", "author": "bo", "text": "y", "created": "2020-01-01"}
    set_aside_of("{", good, name="ada.jsonl")
    forget(home, [], ["ada"], Context())
    erase(home, Context())
    (path,) = set_aside.files(home)
    assert "ada" not in path.read_text()
