"""Damaged files: any bytes end in posts, in rows set aside, or in one of Rookery's own errors."""

import contextlib
import gzip
import io
import json
import tarfile
import zipfile
from functools import partial

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.core.context import Context
from rookery.core.errors import DataError, RookeryError
from rookery.posts import compliance, ingest, lake
from rookery.posts.sources import files
from tests.posts.repository_writer import Repository, car

NAMES = """x.zip x.tar.gz x.car x.json x.jsonl x.ndjson x.csv x.parquet x.jsonl.gz x.json.zst
RC_2015.zst outbox.json x.txt x""".split()


def seeds() -> list[bytes]:
    """Return small undamaged files of every format."""
    commit = {
        "operation": "create",
        "rkey": "1",
        "collection": "app.bsky.feed.post",
        "rev": "3",
        "record": {"text": "a rook"},
    }
    jetstream = {"did": "did:plc:a", "time_us": 1, "kind": "commit", "commit": commit}
    note = {
        "id": "https://a.example/1",
        "type": "Note",
        "attributedTo": "https://a.example/u",
        "content": "rook",
        "published": "2024-01-01T00:00:00Z",
        "to": ["as:Public"],
    }
    outbox = {
        "type": "OrderedCollection",
        "orderedItems": [{"type": "Create", "actor": "https://a.example/u", "object": note}],
    }
    tweet = {
        "data": [
            {"id": "1", "text": "rook", "author_id": "7", "created_at": "2024-01-01T00:00:00Z"}
        ]
    }
    reddit = {
        "subreddit": "b",
        "body": "rook",
        "link_id": "t3_1",
        "id": "2",
        "author": "a",
        "created_utc": 1420070400,
    }
    post = {"id": 1, "topic_id": 2, "post_number": 1, "username": "a", "cooked": "<p>rook</p>"}
    topic = {"post_stream": {"posts": [post | {"created_at": "2024-01-01T00:00:00Z"}]}}
    table = b"id,text,author,created\n1,rook,ada,2024-01-01\n"
    documents = [json.dumps(value).encode() for value in (jetstream, outbox, tweet, reddit, topic)]
    repository = Repository()
    root = repository.commit(
        {"app.bsky.feed.post/1": {"text": "rook", "createdAt": "2024-01-01T00:00:00Z"}}, "3"
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(
            "data/tweets.js",
            'window.YTD.tweets.part0 = [{"tweet": {"id_str": "1", "full_text": "rook"}}]',
        )
        archive.writestr(
            "data/account.js", 'window.YTD.account.part0 = [{"account": {"username": "ada"}}]'
        )
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w:gz") as archive:
        info = tarfile.TarInfo("outbox.json")
        info.size = len(documents[1])
        archive.addfile(info, io.BytesIO(documents[1]))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("posts.csv", table)
    row = {"id": 1.0, "text": "rook", "author": {"name": "ada", "protected": True}, "created": 1}
    plain = [
        *documents,
        table,
        car(root, repository.blocks),
        packed.getvalue(),
        tarred.getvalue(),
        b"[" * 10_000,
        zipped.getvalue(),
        json.dumps([row | {"author": "ada", "visibility": ["public", "x"]}, row]).encode(),
        b"id,text,author,created,is_private\n1e5,rook,nan,1/2/20 5:30 PM,maybe\n",
    ]
    return [
        *plain,
        *(gzip.compress(data, mtime=0) for data in documents),
        *map(zstandard.compress, documents),
    ]


SEEDS = seeds()


@st.composite
def damaged(draw) -> bytes:
    data = draw(st.sampled_from(SEEDS))
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 40)))
    return (
        data[:start]
        + draw(st.binary(max_size=20))
        + data[end : draw(st.integers(0, len(data) * 2))]
    )


def _read_all(path) -> None:
    _, read, _ = ingest._source(path)
    for batch, _ in read():
        batch.validate(full=True)


def _ends_well(attempt) -> None:
    with contextlib.suppress(RookeryError):
        attempt()


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(st.binary(max_size=300), damaged(), st.sampled_from(SEEDS)), st.sampled_from(NAMES)
)
def test_any_bytes_end_in_posts_rows_set_aside_or_one_clear_error(tmp_path_factory, data, name):
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(data)
    _ends_well(lambda: _read_all(path))
    _ends_well(lambda: list(compliance.read(path, "posts")))


@pytest.mark.parametrize("data", SEEDS[:9])
def test_a_sound_file_cut_short_anywhere_is_refused_or_gives_what_is_whole(tmp_path, data):
    for length in range(0, len(data), max(1, len(data) // 40)):
        for name in ("x.json", "x.jsonl", "x.zip", "x.tar.gz", "x.car", "x.csv"):
            path = tmp_path / name
            path.write_bytes(data[:length])
            _ends_well(partial(_read_all, path))


def an_archive(path, member="data/tweets.js", kind=0o100644, flags=0) -> None:
    """Write an X archive whose tweets have this name, this kind of file, these flags."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "data/account.js", 'window.YTD.account.part0 = [{"account": {"username": "ada"}}]'
        )
        info = zipfile.ZipInfo(member)
        info.external_attr = kind << 16
        archive.writestr(
            info, 'window.YTD.tweets.part0 = [{"tweet": {"id_str": "1", "full_text": "rook"}}]'
        )
    data = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.rindex(signature) + place] |= flags
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"member": "../data/tweets.js"}, "outside"),
        ({"member": "/data/tweets.js"}, "outside"),
        ({"kind": 0o120777}, "not a plain file"),
        ({"flags": 1}, "encrypted"),
        ({"member": "data/account.js"}, "twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_that_no_network_would_write_is_refused(tmp_path, change, words):
    path = tmp_path / "x.zip"
    an_archive(path, **change)
    with pytest.raises(DataError, match=words):
        _read_all(path)


def test_a_line_that_no_post_fills_is_set_aside_and_the_next_ones_read(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_LINE_BYTES", 1000)
    row = {"id": "1", "text": "rook", "author": "ada", "created": "2024-01-01"}
    path = tmp_path / "x.jsonl.gz"
    lines = [row, row | {"text": "x" * 5000}, row | {"text": "x" * 1000}, row | {"id": "2"}]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    _, read, _ = ingest._source(path)
    ((batch, aside),) = read()
    assert batch["id"].to_pylist() == ["1", "2"]
    assert [(item.where, item.reason, item.row) for item in aside] == [
        ("line 2", "line_too_long", None), ("line 3", "line_too_long", None),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl"])
def test_a_post_of_ten_megabytes_is_set_aside_and_its_neighbours_taken(home, tmp_path, name):
    rows = [("1", "rook"), ("2", "x" * 10_000_000), ("3", "raven")]
    path = tmp_path / name
    if name == "x.csv":
        path.write_text(
            "id,text,author,created\n" + "".join(f"{i},{text},ada,2024-01-01\n" for i, text in rows)
        )
    else:
        objects = (
            {"id": i, "text": text, "author": "ada", "created": "2024-01-01"} for i, text in rows
        )
        path.write_text("\n".join(map(json.dumps, objects)))
    report = ingest.ingest(home, [path], None, Context())
    assert (report.added, report.set_aside) == (2, {"too_long": 1})


def test_control_characters_and_mojibake_are_kept_as_they_are(home, tmp_path):
    text = "a\x00b\x1b[0m \u202e cafÃ© \ufffd"
    path = tmp_path / "x.jsonl"
    path.write_text(
        json.dumps({"id": "1", "text": text, "author": "a\x00", "created": "2024-01-01"})
    )
    assert ingest.ingest(home, [path], None, Context()).added == 1
    (batch,) = lake.open_lake(home).batches(["text"])
    assert batch["text"].to_pylist() == [text]


def test_encodings_mixed_in_one_file_refuse_a_csv_and_set_aside_a_line(home, tmp_path):
    latin, utf8 = "été".encode("latin-1"), "été".encode()
    table = tmp_path / "x.csv"
    table.write_bytes(
        b"id,text,author,created\n1," + utf8 + b",a,2024-01-01\n2," + latin + b",a,2024-01-01\n"
    )
    with pytest.raises(DataError, match="not UTF-8"):
        ingest.ingest(home, [table], None, Context())
    lines = tmp_path / "x.jsonl"
    row = b'{"id": "1", "text": "%s", "author": "a", "created": "2024-01-01"}\n'
    lines.write_bytes(row % utf8 + row % latin)
    report = ingest.ingest(home, [lines], None, Context())
    assert (report.added, report.set_aside) == (1, {"not_utf8": 1})


@pytest.mark.parametrize(
    "name", "x.json x.csv x.parquet x.zip x.tar.gz x.car x.jsonl.gz x.jsonl.zst".split()
)
def test_a_file_under_anothers_name_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4)
    with pytest.raises(RookeryError):
        _read_all(path)
