"""Held-out documents: none was learned, and each is marked by month, author and novelty."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from rookery.core.context import Context, SilentProgress
from rookery.core.errors import DataError
from rookery.core.stage import Stage, run_stage
from rookery.corpus.document import DOCUMENT_SCHEMA, LAKE_VERSION, write_documents
from rookery.model.evaluation.held_out import held_out
from rookery.posts.live import live_log

CUT = datetime(2026, 3, 1, tzinfo=UTC)


def document(text, *authors, days_after=1.0, language="en"):
    return {
        "id": text,
        "text": text,
        "post_ids": [f"{text} {n}" for n in range(max(len(authors), 1))],
        "author_ids": list(authors) or ["ann"],
        "language": language,
        "created": CUT + timedelta(days=days_after),
        "controls": [],
    }


TRAINING = [
    document("the rooks came back to the old elms today, all of them", days_after=-40),
    document("a rook is not a crow", "bob", days_after=0),
]


@pytest.fixture
def make_corpus(home):
    """Return a function that makes a corpus artifact of training and held-out documents."""

    def make_corpus(training, validation=()):
        def make(workspace):
            for split, rows in (("train", training), ("validation", validation)):
                table = pa.Table.from_pylist(list(rows), schema=DOCUMENT_SCHEMA)
                write_documents(workspace.path / f"{split}.parquet", [table])
            return {LAKE_VERSION: 0}

        return run_stage(
            home, Stage("corpus", 1, {}, {"texts": repr((training, validation))}), make, Context()
        )

    return make_corpus


@pytest.fixture
def look(home, make_corpus):
    """Return a function from held-out documents to those of them that are judged on.

    learned: the training documents of each phase's corpus.
    """

    def look(*documents, most=100, learned=None):
        corpus = make_corpus(TRAINING, documents)
        corpora = [corpus] if learned is None else [make_corpus(training) for training in learned]
        with live_log(home) as log:
            return held_out(corpus, corpora, log.restrictions(), most, SilentProgress())

    return look


def test_a_text_that_is_learned_from_is_left_out_and_counted(look):
    held = look(document("a rook is not a crow"), document("a crow is not a rook"))
    assert held.texts == ["a crow is not a rook"]
    assert held.left_out == {"forgotten": 0, "text_in_training": 1}


def test_nothing_but_texts_that_are_learned_from_is_one_clear_line(look):
    with pytest.raises(DataError, match="no held-out documents"):
        look(document("a rook is not a crow"))


def test_what_training_says_but_for_links_and_what_shares_eight_words_is_marked(look):
    held = look(
        document("A rook is not a crow! https://rooks.example/1"),
        document("my aunt said the rooks came back to the old elms today"),
        document("my aunt said the rooks came back to the elms"),
        document("https://rooks.example/2"),
    )
    assert held.novelty.tolist() == ["repeated", "repeated", "new", "new"]
    assert held.repetitions.tolist() == ["1", "1", "0", "0"]


@pytest.mark.parametrize(
    ("times", "name"), [(1, "1"), (2, "2 to 9"), (9, "2 to 9"), (12, "10 or more")]
)
def test_texts_are_told_by_how_often_training_has_them(look, times, name):
    words = "the rooks came back to the old elms"
    training = [document(f"{words} in the year {1900 + year}") for year in range(times)]
    held = look(document(f"today {words}"), document("a crow"), learned=[training])
    assert held.repetitions.tolist() == [name, "0"]


def test_an_author_is_known_if_any_of_a_thread_is(look):
    held = look(document("one", "ann"), document("two", "cyd"), document("three", "cyd", "bob"))
    assert held.acquaintance.tolist() == ["seen", "unseen", "seen"]
    assert held.authors[1] == held.authors[2] != held.authors[0]


def test_months_are_counted_from_the_last_training_document(look):
    held = look(*(document(f"no {days}", days_after=days) for days in (0, 0.5, 29.9, 30, 75)))
    assert held.months.tolist() == [1, 1, 1, 2, 3]
    assert held.trained_until == CUT


def test_a_text_without_language_is_of_an_unknown_one(look):
    assert look(document("one", language=None)).languages.tolist() == ["unknown"]


def test_a_bound_takes_the_first_and_what_was_learned_from_is_counted_in_bytes(look):
    held = look(*(document(f"no {n}") for n in range(5)), most=2)
    assert held.texts == ["no 0", "no 1"]
    assert held.training_bytes == sum(len(row["text"]) for row in TRAINING)


LEARNED = [
    document("a crow is not a rook", "dot", days_after=-200),
    document("elms", "eve", days_after=-190),
]


def test_what_any_phase_learned_from_is_not_judged_on_and_what_none_did_is(look):
    later = [document("jackdaws", "fay", days_after=10)]
    texts = ["a crow is not a rook", "jackdaws", "a rook is not a crow", "rooks"]
    held = look(*map(document, texts), learned=[LEARNED, later])
    assert held.texts == ["a rook is not a crow", "rooks"]
    assert held.left_out["text_in_training"] == 2


def test_a_document_with_a_post_that_was_learned_from_is_not_judged_on(look):
    """A thread that has grown since is a new text, but the model knows its first post by heart."""
    grown = document("elms\n\nand beeches", "eve") | {
        "post_ids": ["elms 0", "beeches 0"],
        "author_ids": ["eve", "gus"],
    }
    held = look(grown, document("rooks"), learned=[LEARNED])
    assert held.texts == ["rooks"]
    assert held.left_out["text_in_training"] == 1


def test_months_authors_and_bytes_are_of_what_was_learned_from(look):
    earlier, later = LEARNED[:1], [*LEARNED, document("jackdaws", "fay", days_after=-180)]
    judged = (
        document("one", "ann", days_after=-170),
        document("two", "dot"),
        document("three", "fay"),
    )
    held = look(*judged, learned=[earlier, later])
    assert held.trained_until == CUT - timedelta(days=180)
    assert held.months.tolist() == [1, 7, 7]
    assert held.acquaintance.tolist() == ["unseen", "seen", "seen"]
    assert held.training_bytes == sum(len(row["text"]) for row in later)


def test_what_is_older_than_the_last_that_was_learned_is_of_no_month_after_it(look):
    held = look(
        document("one", days_after=-191), document("two", days_after=-300), learned=[LEARNED]
    )
    assert held.months.tolist() == [0, 0]


def test_control_tokens_come_with_the_text(look):
    controls = ["<|language:en|>", "<|time:2026|>"]
    held = look(
        document("one"), document("a rook is not a crow"), document("two") | {"controls": controls}
    )
    assert held.controls == [[], controls]
