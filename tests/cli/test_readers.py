"""`rookery search readers`, and searches and answers as one of them."""

import json

import pytest
from typer.testing import CliRunner

from rookery.cli.main import app
from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.core.protocols import HashedEmbedder
from rookery.search.build import build_index


@pytest.fixture
def run(home, put, a_post):
    """Return a function that runs a verb of `rookery search` on a home with three posts."""
    put(
        a_post("The night tram starts at ten from the old harbour.", author="bob"),
        a_post("The night tram starts at eleven from the market.", author="cid"),
        a_post("The night tram starts at noon, says nobody.", author="dan", sensitive=True),
    )
    build_index(home, HashedEmbedder(), Context())

    def verb(*words):
        result = CliRunner().invoke(app, ["search", *words, "--home", str(home.path), "--json"])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return json.loads(result.stdout)

    return verb


def authors(found) -> set[str]:
    return {post["author"] for post in found.get("hits") or found["sources"]}


def test_a_search_and_an_answer_as_a_reader_hold_to_what_the_reader_said_last(run, tmp_path):
    file = tmp_path / "readers.jsonl"
    file.write_text('{"name": "ada", "blocks": ["bob"]}\n{"name": "cid", "blocks": ["ada"]}\n')
    assert run("readers", str(file)) == {"stored": 2, "removed": 0}
    assert authors(run("query", "tram")) == {"bob", "cid", "dan"}
    assert run("query", "tram", "--reader", "ada")["hits"] == []
    assert authors(run("query", "tram", "--reader", "@Cid")) == {"bob", "cid"}
    file.write_text('{"name": "ada", "muted_words": ["harbour"], "sensitive": false}')
    run("readers", str(file), "--remove", "cid")
    assert authors(run("query", "tram", "--reader", "ada")) == {"cid"}
    assert authors(run("ask", "When does the night tram start?", "--reader", "ada")) == {"cid"}
    for verb in ("query", "ask"):
        with pytest.raises(UsageError, match="no reader is known by the name 'cid'"):
            run(verb, "tram", "--reader", "cid")


def test_a_bad_file_or_no_file_is_refused_and_changes_nothing(run, tmp_path):
    with pytest.raises(UsageError, match="nothing to do"):
        run("readers")
    file = tmp_path / "readers.jsonl"
    file.write_text('{"name": "ada"}\n')
    run("readers", str(file))
    file.write_text('{"name": "ada", "blocks": ["bob"]}\n{"name": 1}\n')
    with pytest.raises(DataError, match="line 2"):
        run("readers", str(file), "--remove", "ada")
    assert authors(run("query", "tram", "--reader", "ada")) == {"bob", "cid"}
