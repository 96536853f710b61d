"""`rookery search`: suggestions, another spelling, trends and saved searches, as printed."""

import json
import subprocess
import sys

import pytest

from rookery.core.context import Context
from rookery.core.protocols import HashedEmbedder
from rookery.search.build import build_index


@pytest.fixture
def run(home):
    def run(*words):
        command = [sys.executable, "-m", "rookery.cli.main", "search", *words, "--home", home.path]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True)

    return run


def test_suggestions_are_printed(home, put, a_post, run):
    put(*(a_post("the #regatta at the harbour", author=f"writer{n}") for n in range(5)))
    build_index(home, HashedEmbedder(), Context())
    assert run("suggest", "#reg").stdout == "#regatta\n"
    assert json.loads(run("trends", "--json").stdout) == {
        "trends": [{"text": "#regatta", "posts": 5, "posts_before": 0}]
    }
    assert "Did you mean: the harbour" in run("query", "the harbuor").stdout
    found = json.loads(run("query", "harbuor", "--json").stdout)
    assert (found["did_you_mean"], found["hits"]) == ("harbour", [])


def test_a_saved_search_tells_what_is_new_once(home, put, a_post, run):
    put(a_post("a bus"))
    build_index(home, HashedEmbedder(), Context())
    assert run("saved", "add", "trams", "tram").stdout == "Saved trams: tram\n"
    put(a_post("a tram", id="one"), key="later")
    build_index(home, HashedEmbedder(), Context())
    assert [
        hit["id"] for hit in json.loads(run("saved", "new", "trams", "--json").stdout)["hits"]
    ] == ["one"]
    assert run("saved", "new", "trams").stdout == "New: 0\n"
    assert "tram" in run("saved", "list").stdout
    run("saved", "remove", "trams")
    missing = run("saved", "new", "trams")
    assert missing.returncode == 2
    assert missing.stderr.count("\n") == 1
