"""JSON files: a document, a list, pages and lines give the same objects, compressed or not."""

import gzip
import json

import pytest
import zstandard

from rookery.core.errors import DataError
from rookery.posts.sources import files
from rookery.posts.sources.files import SetAside
from rookery.posts.sources.json_values import Value, read_values, words

OBJECTS = [{"n": 1}, {"n": 2}, {"n": 3}]
SHAPES = {
    "list.json": json.dumps(OBJECTS),
    "indented.json": json.dumps(OBJECTS, indent=2),
    "lines.jsonl": "\n".join(map(json.dumps, OBJECTS)),
    "lines.json": "\n".join(map(json.dumps, OBJECTS)) + "\n",
    "pages.ndjson": "\n\n".join(json.dumps(page) for page in (OBJECTS[:2], OBJECTS[2:])),
    "marked.json": "\ufeff" + json.dumps(OBJECTS),
}


@pytest.fixture
def values(tmp_path):
    def values(name, data):
        (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        return list(read_values(tmp_path / name))

    return values


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("suffix", "pack"), [("", bytes), (".gz", gzip.compress), (".zst", zstandard.compress)]
)
def test_every_shape_gives_the_same_objects(values, shape, suffix, pack):
    assert [item.value for item in values(shape + suffix, pack(SHAPES[shape].encode()))] == OBJECTS


def test_each_object_says_where_it_stands(values):
    assert [v.where for v in values("a.jsonl", "{}\n[{}, {}]\n")] == [
        "line 1",
        "line 2, item 1",
        "line 2, item 2",
    ]
    assert [v.at("post 4") for v in values("a.json", "{}")] == ["post 4"]
    assert Value("line 2", {}).at("post 4") == "line 2, post 4"


def test_what_is_no_object_is_set_aside_and_the_rest_read(values):
    found = values("a.jsonl", b'{"n": 1}\nnot json\n[2]\n3\n\xff\n{"n": 4}\n')
    assert [v.value["n"] for v in found if isinstance(v, Value)] == [1, 4]
    assert [v.reason for v in found if isinstance(v, SetAside)] == ["not_a_json_object"] * 3 + [
        "not_utf8"
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('[{"n": 1},', "not JSON"),
        ("[\n" * 50_000, "not JSON"),
        ('{\n"n": "caf\xe9"}'.encode("latin-1"), "not UTF-8"),
        ("", "empty"),
        ("\n \n", "not JSON"),
    ],
)
def test_a_damaged_document_is_one_clear_line(values, data, message):
    with pytest.raises(DataError, match=message):
        values("a.json", data)


def test_a_document_too_long_to_be_held_is_refused(values, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_DOCUMENT_BYTES", 100)
    with pytest.raises(DataError, match="too long"):
        values("a.json.gz", gzip.compress(b"[" + b" " * 1000 + b"]"))


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (5, "5"), (True, ""), (None, ""), ({}, ""), (1.5, ""), ("\ud83d", "\ufffd")],
)
def test_only_texts_and_numbers_are_words(value, text):
    assert words(value) == text
