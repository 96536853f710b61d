"""`rookery model tune search`, `embed` and `probe`, as a person types them."""

import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from tests.support.paired_home import make_corpus


def rookery(home, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rookery", *words, "--home", str(home.path)]
    return subprocess.run(command, capture_output=True, text=True)


def test_an_embedder_is_tuned_and_makes_vectors_of_a_file(home, tmp_path):
    make_corpus(home)
    tuned = rookery(home, "model", "tune", "search", "--vocabulary", "1024", "--json")
    assert tuned.returncode == 0, tuned.stderr
    facts = json.loads(tuned.stdout)
    assert facts["pairs"]["reply"] > 50
    assert facts["worth"]["weight"] >= 0
    (tmp_path / "texts.csv").write_text("text\nthe rooks came back\nto the elms\n")
    made = rookery(home, "model", "embed", str(tmp_path / "texts.csv"), "--json")
    assert made.returncode == 0, made.stderr
    facts = json.loads(made.stdout)
    assert facts["texts"] == 2
    assert pq.read_table(facts["file"]).column_names == ["id", "vector"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tune", "search"], "no finished corpus"),
        (["embed", "missing.csv"], "no such file"),
        (["embed", "missing.csv", "--with", "magic"], "--with takes table or network"),
        (["embed", "missing.csv", "--with", "network"], "no finished checkpoint"),
        (
            ["probe", "x.csv", "--text", "a", "--label", "b", "--split", "c"],
            "no finished checkpoint",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(home, words, message):
    done = rookery(home, "model", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
