"""A home from before texts of posts were repaired, and before rows set aside lost their words, is
still searched, writes, forgets, erases and traces. What is made in it anew differs.
"""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from rookery.core.home import Home, open_home
from rookery.posts.lake import open_lake
from rookery.posts.set_aside import reasons_in
from tests.workflows.full_home import walk

GOLDEN = Path(__file__).parents[1] / "golden"
POST = "1100"
OWED = {"tokenizer", "checkpoint", "export"}


@pytest.fixture
def older(tmp_path) -> Home:
    with tarfile.open(GOLDEN / "home_older.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    home = open_home(tmp_path / "home")
    # as that release kept a row that was set aside: whole
    row = {"where": f"id {POST}", "reason": "id_taken", "row": {"id": POST, "text": text_of(home)}}
    home.set_aside.mkdir()
    (home.set_aside / "earlier.jsonl").write_text(f"{json.dumps(row)}\n")
    return home


def text_of(home: Home) -> str:
    rows = (row for batch in open_lake(home).batches() for row in batch.to_pylist())
    return next(row["text"] for row in rows if row["id"] == POST)


def rookery(home: Home, *words: object) -> str:
    done = subprocess.run(_command(home, *words), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _command(home: Home, *words: object) -> list[str]:
    return [sys.executable, "-m", "rookery", *map(str, words), "--home", str(home.path)]


def test_an_older_home_answers_and_writes(older):
    # its index is of that release: one line says so, and what to do
    failed = subprocess.run(_command(older, "search", "query", "x"), capture_output=True, text=True)
    assert failed.returncode != 0
    assert "rookery search index" in failed.stderr
    rookery(older, "search", "index")
    found = json.loads(rookery(older, "search", "query", text_of(older), "--json"))
    assert found["hits"][0]["id"] == POST
    # the model writes what it has read, in the ids that its tokenizer has always given
    words = "today we saw the", "--temperature", 0, "--max-tokens", 20
    assert "near one" in rookery(older, "model", "generate", *words)


def test_a_post_of_an_older_home_is_forgotten_and_erased_from_every_file(older):
    def run(*words):
        return json.loads(rookery(older, *words, "--json"))

    needle = text_of(older).encode()
    assert {path.split("/")[0] for path in walk(older, needle)} == {
        "lake", "artifacts", "search", "set_aside"
    }  # fmt: skip
    run("posts", "forget", POST)
    before = run("trace", POST)
    assert before["forgotten"]
    assert {"lake", "search", "corpus", "shards"} <= holding(before, "holds")
    erased = run("posts", "erase")
    assert {owed["place"].split()[0] for owed in erased["owed"]} == OWED
    assert walk(older, needle) == set()
    assert reasons_in(older.set_aside / "earlier.jsonl") == {"id_taken": 1}
    after = run("trace", POST)
    assert after["forgotten"]
    assert not after["in_lake"]
    assert holding(after, "holds") == set()
    assert {place["place"].split()[0] for place in after["places"] if place["owed"]} == OWED
    assert run("posts", "erase")["erased"] == []


def holding(traced: dict, how: str) -> set[str]:
    return {place["place"].split()[0] for place in traced["places"] if place["how"] == how}
