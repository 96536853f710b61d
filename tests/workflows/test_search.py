"""Who writes a home's answers, as its settings say."""

from dataclasses import replace

import pytest

from rookery.core.errors import UsageError
from rookery.core.home import Answers
from rookery.core.protocols import SeededGenerator
from rookery.search.answers.answer import ask
from rookery.search.answers.generation import EndpointWriter, GeneratorWriter
from rookery.search.answers.writers import EXTRACTION
from rookery.workflows.search import build_index, open_index, writer_of


def with_answers(home, **answers):
    return replace(home, settings=replace(home.settings, answers=Answers(**answers)))


def no_generator():
    raise AssertionError("no model writes here")


def test_posts_are_quoted_unless_settings_say_otherwise(home):
    assert writer_of(home, no_generator) is EXTRACTION


def test_an_untrained_model_writes_nothing_that_posts_bear_out_and_posts_are_quoted(
    home, put, a_post
):
    put(a_post("Snow on the line made the night tram late today"))
    build_index(home)
    writer = writer_of(with_answers(home, writer="model"), SeededGenerator)
    assert isinstance(writer, GeneratorWriter)
    found = ask(open_index(home), "Why is the night tram late?", writer)
    assert [s.text for s in found.sentences] == ["Snow on the line made the night tram late today"]
    assert found.writer == "extract"
    assert "these are sentences of posts" in found.note.lower()


def test_an_endpoint_gets_its_key_from_a_file(home):
    (home.path / "key").write_text("secret\n")
    chosen = {"writer": "endpoint", "endpoint": "http://localhost:1/v1", "model": "m"}
    writer = writer_of(with_answers(home, **chosen, key_file="key", seconds=3), no_generator)
    assert writer == EndpointWriter("http://localhost:1/v1", "m", "secret", 3, writer.clock)
    assert writer_of(with_answers(home, **chosen), no_generator).key == ""
    narrow = writer_of(with_answers(home, **chosen, context_tokens=1024), no_generator)
    assert narrow.context_tokens == 1024
    with pytest.raises(UsageError, match=r"key_file in rookery\.toml"):
        writer_of(with_answers(home, **chosen, key_file="none"), no_generator)
