"""Evaluation judges every byte of what may be judged on, by group too, and leaves out what was forgotten or learned."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from rookery.cli.main import app
from rookery.core.context import Context, FixedClock
from rookery.core.errors import DataError
from rookery.core.stage import Stage, run_stage
from rookery.corpus.document import DOCUMENT_SCHEMA, LAKE_VERSION, write_documents
from rookery.model.evaluate import EvaluationConfig, evaluate, evaluate_texts, read_result
from rookery.posts.live import live_log

TRAINING = [f"the rooks came back to the elms, {n} of them" for n in range(60)]
HELD_OUT = ["the rooks came back", "грачи вернулись домой", "hello elms, hello rooks", "a long one " * 30]


def documents(texts):
    rows = [
        {
            "id": str(n),
            "text": text,
            "post_ids": [f"post {n}"],
            "author_ids": [f"author {n}"],
            "language": "ru" if text[0] == "г" else "en",
            "created": datetime(2026, 1, 1, tzinfo=UTC),
            "controls": [],
        }
        for n, text in enumerate(texts)
    ]
    return pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)


@pytest.fixture
def make_corpus(home):
    """Make a corpus artifact with some held-out texts."""

    def make_corpus(held_out):
        def make(workspace):
            write_documents(workspace.path / "train.parquet", [documents(TRAINING)])
            write_documents(workspace.path / "validation.parquet", [documents(held_out)])
            return {LAKE_VERSION: 0}

        return run_stage(home, Stage("corpus", 1, {}, {"held_out": repr(held_out)}), make, Context())

    return make_corpus


@pytest.fixture
def corpus(make_corpus):
    return make_corpus(HELD_OUT)


def test_the_result_has_every_byte_and_three_figures_for_each_language(home, checkpoint, corpus):
    result = read_result(evaluate(home, checkpoint, corpus, Context()))
    assert result["bytes"] == sum(len(t.encode()) for t in HELD_OUT)
    assert result["documents"] == len(HELD_OUT)
    assert set(result["bits_per_byte"]) == {"model", "zstd", "ngram", "xz"}
    assert sum(part["bytes"] for part in result["languages"].values()) == result["bytes"]
    assert list(result["languages"]) == ["en", "ru"]


def test_evaluating_again_gives_the_same_artifact(home, checkpoint, corpus):
    first = evaluate(home, checkpoint, corpus, Context())
    assert evaluate(home, checkpoint, corpus, Context()).digest == first.digest


@pytest.mark.parametrize(("kind", "subject"), [("forget_post", "post 3"), ("forget_author", "author 3")])
def test_a_text_forgotten_since_is_left_out(home, checkpoint, corpus, kind, subject):
    before = read_result(evaluate(home, checkpoint, corpus, Context()))
    with live_log(home) as log:
        log.append(kind, [subject], FixedClock(), "asked")
    after = read_result(evaluate(home, checkpoint, corpus, Context()))
    assert before["documents"] - after["documents"] == 1
    assert before["bytes"] - after["bytes"] == len(HELD_OUT[3])


def test_nothing_left_to_judge_on_is_one_clear_line(home, checkpoint, corpus):
    with live_log(home) as log:
        log.append("forget_post", [f"post {n}" for n in range(len(HELD_OUT))], FixedClock(), "asked")
    with pytest.raises(DataError, match="no held-out documents"):
        evaluate(home, checkpoint, corpus, Context())
    with pytest.raises(DataError, match="no text to judge on"):
        evaluate_texts(checkpoint, corpus, ["", ""])


def test_a_bound_on_documents_takes_the_first_of_the_shuffled_order(home, checkpoint, corpus):
    result = read_result(evaluate(home, checkpoint, corpus, Context(), EvaluationConfig(most_documents=2)))
    assert result["bytes"] == sum(len(t.encode()) for t in HELD_OUT[:2])


def test_any_texts_are_judged_in_the_contracts_words(checkpoint, corpus):
    result = evaluate_texts(checkpoint, corpus, [*HELD_OUT, ""])
    assert result["bytes"] == sum(len(t.encode()) for t in HELD_OUT)
    assert set(result["bits_per_byte"]) == {"model", "zstd", "ngram", "xz"}


def test_the_baselines_learn_from_the_corpus_training_documents(checkpoint, corpus):
    bits = evaluate_texts(checkpoint, corpus, ["the rooks came back to the elms"])["bits_per_byte"]
    assert bits["ngram"] < min(bits["zstd"], bits["model"])


def asked(home, *words, given=None):
    return CliRunner().invoke(app, ["model", "evaluate", "--home", str(home.path), *words], input=given)


def test_lines_of_standard_input_are_judged_one_by_one(home, checkpoint, corpus):
    lines = "the rooks came\n\nграчи вернулись\n".encode()
    result = json.loads(asked(home, "--texts", "-", "--json", given=lines).stdout)
    assert (result["documents"], result["bytes"]) == (2, len(lines) - 3)


def test_only_line_ends_part_the_texts_of_standard_input(home, checkpoint, corpus):
    first, last = "the rooks\u2028came\u2029back\x85to\x0bthe\x0celms\x1c\x1d\x1eat\rdusk", "грачи"
    result = json.loads(asked(home, "--texts", "-", "--json", given=f"{first}\r\n{last}".encode()).stdout)
    assert (result["documents"], result["bytes"]) == (2, len((first + last).encode()))


def test_standard_input_that_is_no_text_is_one_clear_line(home, checkpoint, corpus):
    done = asked(home, "--texts", "-", given=b"\xff\xfe")
    assert isinstance(done.exception, DataError)
    assert "not UTF-8" in str(done.exception)


def test_the_terminal_shows_groups_and_where_the_page_lies(home, checkpoint, corpus):
    shown = asked(home).stdout
    assert "language: ru" in shown
    assert "month 1 after training" in shown
    assert "evaluation.html" in shown


def test_a_text_that_is_learned_from_too_does_not_flatter_the_model(home, checkpoint, make_corpus):
    fair = read_result(evaluate(home, checkpoint, make_corpus(HELD_OUT), Context()))
    leaky = read_result(evaluate(home, checkpoint, make_corpus([*HELD_OUT, *TRAINING[:20]]), Context()))
    assert leaky["left_out"]["text_in_training"] == 20
    assert leaky["bits_per_byte"] == fair["bits_per_byte"]
