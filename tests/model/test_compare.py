"""Comparing models: all on the same documents, none of which any of them has learned."""

import pytest

from rookery.core.context import Context
from rookery.core.errors import DataError
from rookery.model.compare import compare, made_by
from rookery.model.evaluate import evaluate, read_result
from tests.model.test_evaluate import HELD_OUT, OTHERS, make_corpus  # noqa: F401


def test_models_are_judged_on_the_same_documents(home, make_checkpoint, make_corpus):  # noqa: F811
    corpus = make_corpus(HELD_OUT)
    first, second = (make_checkpoint(seed=seed, corpora=[corpus]) for seed in (0, 1))
    result = compare(home, [first, second], corpus, Context())
    assert (result["documents"], result["remarks"]) == (len(HELD_OUT), [])
    assert [one["key"] for one in result["models"]] == [first.key, second.key]
    assert result["models"][0]["less_than_first"][0] == 0
    less = result["models"][1]["less_than_first"]
    bits = [one["bits_per_byte"] for one in result["models"]]
    assert less[0] == pytest.approx(bits[1] - bits[0], abs=2e-4)
    alone = read_result(evaluate(home, first, corpus, Context()))
    assert bits[0] == pytest.approx(alone["bits_per_byte"]["model"], abs=2e-4)


def test_what_one_of_them_learned_judges_none(home, make_checkpoint, make_corpus):  # noqa: F811
    corpus = make_corpus(HELD_OUT)
    knows = make_checkpoint(seed=1, corpora=[make_corpus(OTHERS, training=HELD_OUT[:2])])
    result = compare(home, [make_checkpoint(corpora=[corpus]), knows], corpus, Context())
    assert result["documents"] == len(HELD_OUT) - 2
    knows_all = make_checkpoint(seed=2, corpora=[make_corpus(OTHERS, training=HELD_OUT)])
    with pytest.raises(DataError, match="no held-out documents"):
        compare(home, [knows_all], corpus, Context())


def test_how_a_model_came_about(make_checkpoint):
    assert made_by(make_checkpoint()) == "adopted"  # no shards are among its inputs
