"""Evaluation: every byte counts, groups too, and forgotten or learned documents are left out."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from rookery.cli.main import app
from rookery.core.context import Context, FixedClock
from rookery.core.errors import DataError
from rookery.core.stage import Stage, run_stage
from rookery.corpus.document import DOCUMENT_SCHEMA, LAKE_VERSION, write_documents
from rookery.model.evaluate import EvaluationConfig, aged, evaluate, evaluate_texts, read_result
from rookery.posts.live import live_log

TRAINING = [f"the rooks came back to the elms, {n} of them" for n in range(60)]
HELD_OUT = [
    "the rooks came back",
    "грачи вернулись домой",
    "hello elms, hello rooks",
    "a long one " * 30,
]


def documents(texts, controls=(), days_apart=0):
    rows = [
        {
            "id": str(n),
            "text": text,
            "post_ids": [f"post {n}"],
            "author_ids": [f"author {n}"],
            "language": "ru" if text[0] == "г" else "en",
            "created": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n * days_apart),
            "controls": list(controls),
        }
        for n, text in enumerate(texts)
    ]
    return pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA)


@pytest.fixture
def make_corpus(home):
    """Return a function that makes a corpus artifact with some held-out texts."""

    def make_corpus(held_out, training=TRAINING, controls=(), days_apart=0):
        def make(workspace):
            learned = documents(training).to_pylist()
            learned = [row | {"post_ids": [f"training {row['post_ids'][0]}"]} for row in learned]
            write_documents(
                workspace.path / "train.parquet",
                [pa.Table.from_pylist(learned, schema=DOCUMENT_SCHEMA)],
            )
            write_documents(
                workspace.path / "validation.parquet", [documents(held_out, controls, days_apart)]
            )
            return {LAKE_VERSION: 0}

        inputs = {"texts": repr((held_out, training, controls, days_apart))}
        return run_stage(home, Stage("corpus", 1, {}, inputs), make, Context())

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


def test_the_groups_are_those_of_time_of_acquaintance_and_of_novelty(home, checkpoint, make_corpus):
    """Training holds documents of the first two authors, one of whom a held-out text repeats."""
    texts = [
        "rooks",
        "грачи вернулись",
        "he said that the rooks came back to the elms, 0 of them",
        "elms " * 9,
    ]
    corpus = make_corpus(texts, TRAINING[:2], days_apart=20)
    first, second, third, fourth = (len(text.encode()) for text in texts)
    result = read_result(evaluate(home, checkpoint, corpus, Context()))
    assert bytes_of(result["authors_seen"]) == {"seen": first + second, "unseen": third + fourth}
    assert bytes_of(result["novelty"]) == {"repeated": third, "new": first + second + fourth}
    assert bytes_of(result["months"]) == {"1": first + second, "2": third, "3": fourth}


def bytes_of(groups):
    return {name: summarize["bytes"] for name, summarize in groups.items()}


def test_evaluating_again_gives_the_same_artifact(home, checkpoint, corpus):
    first = evaluate(home, checkpoint, corpus, Context())
    assert evaluate(home, checkpoint, corpus, Context()).digest == first.digest


@pytest.mark.parametrize(
    ("kind", "subject"), [("forget_post", "post 3"), ("forget_author", "author 3")]
)
def test_a_text_forgotten_since_is_left_out(home, checkpoint, corpus, kind, subject):
    before = read_result(evaluate(home, checkpoint, corpus, Context()))
    with live_log(home) as log:
        log.append(kind, [subject], FixedClock(), "asked")
    after = read_result(evaluate(home, checkpoint, corpus, Context()))
    assert before["documents"] - after["documents"] == 1
    assert before["bytes"] - after["bytes"] == len(HELD_OUT[3])


def test_nothing_left_to_judge_on_is_one_clear_line(home, checkpoint, corpus):
    with live_log(home) as log:
        log.append(
            "forget_post", [f"post {n}" for n in range(len(HELD_OUT))], FixedClock(), "asked"
        )
    with pytest.raises(DataError, match="no held-out documents"):
        evaluate(home, checkpoint, corpus, Context())
    with pytest.raises(DataError, match="no text to judge on"):
        evaluate_texts(home, checkpoint, corpus, ["", ""])


def test_a_bound_on_documents_takes_the_first_of_the_shuffled_order(home, checkpoint, corpus):
    result = read_result(
        evaluate(home, checkpoint, corpus, Context(), EvaluationConfig(most_documents=2))
    )
    assert result["bytes"] == sum(len(t.encode()) for t in HELD_OUT[:2])


def test_any_texts_are_judged_in_the_contracts_words(home, checkpoint, corpus):
    result = evaluate_texts(home, checkpoint, corpus, [*HELD_OUT, ""])
    assert result["bytes"] == sum(len(t.strip().encode()) for t in HELD_OUT)
    assert set(result["bits_per_byte"]) == {"model", "zstd", "ngram", "xz"}


def test_texts_are_judged_as_the_corpus_cleans_them_and_as_given_beside_it(
    home, checkpoint, corpus
):
    clean = ["cafés & rooks", "write to [email]", "the rooks came"]
    raw = ["caf\u00c3\u00a9s &amp;   rooks", "write to ada@rooks.example", "the rooks came"]
    result = evaluate_texts(home, checkpoint, corpus, raw)
    expected = evaluate_texts(home, checkpoint, corpus, clean)
    assert result["bits_per_byte"] == expected["bits_per_byte"] == expected["raw"]["bits_per_byte"]
    assert (result["raw"]["texts_changed"], expected["raw"]["texts_changed"]) == (2, 0)
    assert result["raw"]["bytes"] == sum(len(text.encode()) for text in raw)
    assert result["raw"]["bits_per_byte"] != result["bits_per_byte"]


def of_months(**bits):
    return {
        month: {"documents": 100, "bits_per_byte": {"model": model, "ngram": ngram, "zstd": 4.0}}
        for month, (model, ngram) in bits.items()
    }


def test_a_model_ages_from_the_first_month_to_the_last():
    months = of_months(**{"0": (1.0, 1.0), "1": (2.0, 2.5), "2": (2.1, 2.6), "7": (2.25, 2.6)})
    expected = {"from_month": 1, "to_month": 7}
    assert aged(months) == expected | {"more_bits_per_byte": {"model": 0.25, "ngram": 0.1}}
    months["7"]["documents"] = 99
    assert aged(months)["to_month"] == 2
    assert aged(of_months(**{"0": (1.0, 1.0), "1": (2.0, 2.5)})) is None


def test_the_baselines_learn_from_the_corpus_training_documents(home, checkpoint, corpus):
    bits = evaluate_texts(home, checkpoint, corpus, ["the rooks came back to the elms"])[
        "bits_per_byte"
    ]
    assert bits["ngram"] < min(bits["zstd"], bits["model"])


def asked(home, *words, given=None):
    return CliRunner().invoke(
        app, ["model", "evaluate", "--home", str(home.path), *words], input=given
    )


def test_lines_of_standard_input_are_judged_one_by_one(home, checkpoint, corpus):
    lines = "the rooks came\n\nграчи вернулись\n".encode()
    result = json.loads(asked(home, "--texts", "-", "--json", given=lines).stdout)
    assert (result["documents"], result["bytes"]) == (2, len(lines) - 3)


def test_only_line_ends_part_the_texts_of_standard_input(home, checkpoint, corpus):
    first, last = "the rooks\u2028came\u2029back\x85to\x0bthe\x0celms\x1c\x1d\x1eat\rdusk", "грачи"
    result = json.loads(
        asked(home, "--texts", "-", "--json", given=f"{first}\r\n{last}".encode()).stdout
    )
    assert (result["documents"], result["raw"]["bytes"]) == (2, len((first + last).encode()))


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
    leaky = read_result(
        evaluate(home, checkpoint, make_corpus([*HELD_OUT, *TRAINING[:20]]), Context())
    )
    assert leaky["left_out"]["text_in_training"] == 20
    assert leaky["bits_per_byte"] == fair["bits_per_byte"]


OTHERS = [f"{n} jackdaws sat on the church tower and said nothing" for n in range(60)]


def test_what_an_earlier_corpus_taught_is_not_judged_on_when_the_cut_moves_back(
    home, make_checkpoint, make_corpus
):
    fair, moved_back = (
        make_corpus(HELD_OUT, OTHERS),
        make_corpus([*HELD_OUT, *TRAINING[:20]], OTHERS),
    )
    learned = make_checkpoint(corpora=[make_corpus(OTHERS), moved_back])
    leaky = read_result(evaluate(home, learned, moved_back, Context()))
    assert leaky["left_out"]["text_in_training"] == 20
    assert (
        leaky["bits_per_byte"]
        == read_result(evaluate(home, learned, fair, Context()))["bits_per_byte"]
    )
    assert leaky["training"]["bytes"] == sum(len(text) for text in [*TRAINING, *OTHERS])
    assert leaky["remarks"] == []


def test_the_baselines_learn_from_the_corpus_of_the_last_phase(home, make_checkpoint, make_corpus):
    newest = make_corpus(HELD_OUT, OTHERS)
    learned = make_checkpoint(corpora=[newest, make_corpus(HELD_OUT)])
    held_out = read_result(evaluate(home, learned, newest, Context()))
    assert held_out["training"]["bytes_seen_by_baselines"] == sum(map(len, TRAINING))
    assert evaluate_texts(home, learned, newest, TRAINING[:1])["bits_per_byte"]["ngram"] < 1.5
    assert evaluate_texts(home, learned, newest, OTHERS[:1])["bits_per_byte"]["ngram"] > 1.5


@pytest.mark.parametrize(
    ("missing", "remark"), [(1, "1 of the 2 corpora"), (2, "No corpus that the model learned from")]
)
def test_a_corpus_that_is_gone_is_told_and_the_evaluation_is_another(
    home, make_checkpoint, make_corpus, missing, remark
):
    corpora = [make_corpus(["rooks"]), make_corpus(["elms"])]
    judged, learned = make_corpus(HELD_OUT, OTHERS), make_checkpoint(corpora=corpora)
    whole = evaluate(home, learned, judged, Context())
    for corpus in corpora[:missing]:
        shutil.rmtree(corpus.path)
    again = evaluate(home, learned, judged, Context())
    assert again.key != whole.key
    for result in (read_result(again), evaluate_texts(home, learned, judged, HELD_OUT)):
        assert [found[: len(remark)] for found in result["remarks"]] == [remark]


CONTROLS = ("<|language:en|>", "<|time:2026|>")


def test_a_model_that_learned_with_control_tokens_is_told_them_and_that_is_said(
    home, make_checkpoint, make_corpus
):
    plain, controlled = make_corpus(HELD_OUT), make_corpus(HELD_OUT, controls=CONTROLS)
    model = make_checkpoint(corpora=[plain, controlled], controls=CONTROLS)
    without, given = (
        read_result(evaluate(home, model, corpus, Context())) for corpus in (plain, controlled)
    )
    assert given["bytes"] == without["bytes"]
    assert given["bits_per_byte"]["model"] != without["bits_per_byte"]["model"]
    assert given["bits_per_byte"]["ngram"] == without["bits_per_byte"]["ngram"]
    assert "is given the control tokens" in given["remarks"][0]
    assert "is judged without them" in without["remarks"][0]
    assert "is judged without them" in asked(home, "--texts", "-", given="rooks\n").stdout
