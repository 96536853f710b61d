"""Vectors of a file: whole or absent, the same after a kill, without what is forgotten."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rookery.core.context import Context, SystemClock
from rookery.core.errors import DataError, UsageError
from rookery.core.protocols import HashedEmbedder
from rookery.model.inference import vectors
from rookery.model.inference.vectors import embed_file
from rookery.posts.live import live_log

ROOT = Path(__file__).parents[3]
EMBEDDER = HashedEmbedder(16)
KILLED = """
import os, signal, sys
from pathlib import Path
from rookery.core.context import Context
from rookery.core.home import open_home
from rookery.core.protocols import HashedEmbedder
from rookery.model.inference import vectors

vectors.PART_TEXTS, write = 10, vectors._write_part
def kill_at_the_third(path, *others):
    if path.name.startswith("000003"):
        path.with_name(".000003.parquet.part.tmp").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, *others)
vectors._write_part = kill_at_the_third
home, source, target = sys.argv[1:]
vectors.embed_file(
    open_home(home), Path(source), Path(target), HashedEmbedder(16), Context(), "text"
)
"""


@pytest.fixture
def table(tmp_path) -> Path:
    """A table of 55 texts, with an empty one among them."""
    path = tmp_path / "texts.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "text"])
        writer.writerows([f"n{n}", "" if n == 7 else f"a word about rook {n}"] for n in range(55))
    return path


def embed(home, source, target, *columns, context=Context()):
    return embed_file(home, source, target, EMBEDDER, context, *columns)


def expected(texts) -> np.ndarray:
    return EMBEDDER.embed(texts)


def vectors_in(path: Path) -> np.ndarray:
    return np.array(pq.read_table(path)["vector"].to_pylist(), np.float32)


def test_each_text_of_a_table_has_its_vector_under_its_id_or_its_row(home, table, tmp_path):
    facts = embed(home, table, tmp_path / "a.parquet", "text", "number")
    assert facts == {"texts": 55, "forgotten": 0, "dimensions": 16}
    made = pq.read_table(tmp_path / "a.parquet")
    assert made["id"].to_pylist() == [f"n{n}" for n in range(55)]
    texts = ["" if n == 7 else f"a word about rook {n}" for n in range(55)]
    assert (vectors_in(tmp_path / "a.parquet") == expected(texts)).all()
    embed(home, table, tmp_path / "b.parquet")  # no post's columns but a text
    assert pq.read_table(tmp_path / "b.parquet")["id"].to_pylist()[:2] == ["1", "2"]
    assert (vectors_in(tmp_path / "b.parquet") == vectors_in(tmp_path / "a.parquet")).all()


def test_posts_are_read_as_look_reads_them_and_forgotten_ones_get_no_vector(home, tmp_path):
    path = tmp_path / "posts.jsonl"
    path.write_text(
        "".join(
            f'{{"id": "{n}", "author": "a{n}", "text": "rook {n}", '
            f'"created_at": "2026-01-0{n}T00:00:00Z"}}\n'
            for n in range(1, 6)
        )
    )
    with live_log(home) as log:
        log.append("forget_post", ["2"], SystemClock(), "asked")
        log.append("forget_author", ["a4"], SystemClock(), "asked")
    facts = embed(home, path, tmp_path / "out.parquet")
    assert facts == {"texts": 3, "forgotten": 2, "dimensions": 16}
    ids = pq.read_table(tmp_path / "out.parquet")["id"].to_pylist()
    assert [one.split("/")[-1].split(":")[-1] for one in ids] == ["1", "3", "5"]


def test_a_killed_run_ends_with_the_same_bytes(home, table, tmp_path, monkeypatch, said):
    target, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    beside = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    command = [sys.executable, "-c", KILLED, str(home.path), str(table), str(target)]
    killed = subprocess.run(command, env=os.environ | beside, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not target.exists()
    monkeypatch.setattr(vectors, "PART_TEXTS", 10)
    embed(home, table, target, "text", context=Context(progress=said))
    assert said.lines == ["Going on after 30 texts."]
    embed(home, table, whole, "text")
    assert target.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == [
        "out.parquet",
        "texts.csv",
        "whole.parquet",
    ]


def test_what_an_earlier_run_made_of_another_file_is_not_used(home, table, tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "PART_TEXTS", 10)
    target = tmp_path / "out.parquet"
    with monkeypatch.context() as patched:
        patched.setattr(vectors, "_join", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            embed(home, table, target, "text")
    table.write_text("text\nanother word\n")
    assert embed(home, table, target, "text")["texts"] == 1
    assert (vectors_in(target) == expected(["another word"])).all()


@pytest.mark.parametrize(
    ("name", "content", "columns", "message"),
    [
        ("noise.bin", b"\x00\x01\x02 no posts", (), "noise.bin"),
        ("empty.csv", b"", (), "empty.csv"),
        ("other.csv", b"a,b\n1,2\n", ("text",), "no column 'text'"),
        ("no_id.csv", b"text,b\n1,2\n", ("text", "id"), "no column 'id'"),
        ("nothing.csv", b"text,b\n", ("text",), "holds no text"),
    ],
)
def test_a_file_that_holds_no_texts_is_refused_in_a_line_and_nothing_is_left(
    home, tmp_path, name, content, columns, message
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises((DataError, UsageError), match=message):
        embed(home, tmp_path / name, tmp_path / "out.parquet", *columns)
    assert {path.name for path in tmp_path.iterdir()} <= {name, "home"}


def test_a_file_that_exists_is_not_overwritten_and_a_missing_folder_is_named(home, table, tmp_path):
    with pytest.raises(UsageError, match="exists already"):
        embed(home, table, table, "text")
    with pytest.raises(UsageError, match="no such folder"):
        embed(home, table, tmp_path / "nowhere" / "out.parquet", "text")
    with pytest.raises(UsageError, match="no such file"):
        embed(home, tmp_path / "missing.csv", tmp_path / "out.parquet")


def test_a_parquet_table_of_numbers_and_gaps_is_read_as_texts(home, tmp_path):
    pq.write_table(pa.table({"text": [1, None, 3]}), tmp_path / "t.parquet")
    assert embed(home, tmp_path / "t.parquet", tmp_path / "out.parquet", "text")["texts"] == 2
