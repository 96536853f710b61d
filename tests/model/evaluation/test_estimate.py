"""Intervals hold the truth as often as they state, follow authors, and compare on equal draws."""

import numpy as np
import pytest

from rookery.model.evaluation.estimate import ScoredTexts, bootstrap, by, summarize


def judged(random, authors=60, texts=20, spread=0.3):
    """Return texts of 100 bytes; each author has a level of its own around 2 bits per byte."""
    author = np.repeat(np.arange(authors), texts)
    level = 2 + spread * random.standard_normal(authors)
    model = 100 * (level[author] + 0.1 * random.standard_normal(len(author)))
    return ScoredTexts(np.full(len(author), 100), author, {"model": model, "ngram": model + 20.0})


def test_nineteen_of_twenty_intervals_hold_the_true_figure():
    held = 0
    for seed in range(60):
        low, high = summarize(judged(np.random.default_rng(seed)))["interval_95"]["model"]
        held += low <= 2.0 <= high
    assert 51 <= held <= 60


def test_many_texts_of_few_authors_are_not_taken_for_certainty():
    one = judged(np.random.default_rng(0))
    as_if_alone = ScoredTexts(one.sizes, np.arange(len(one.sizes)), one.bits)

    def width(texts: ScoredTexts) -> float:
        return np.ptp(np.percentile(bootstrap(texts)["model"], (2.5, 97.5)))

    assert width(one) > 3 * width(as_if_alone)


def test_a_difference_is_surer_than_either_figure():
    found = summarize(judged(np.random.default_rng(1)))
    difference, low, high = found["model_less"]["ngram"]
    assert difference == pytest.approx(-0.2)
    assert high - low < 1e-6 < np.ptp(found["interval_95"]["model"])


def test_the_same_texts_give_the_same_interval_and_few_authors_none():
    one = judged(np.random.default_rng(2))
    assert summarize(one) == summarize(one)
    few = summarize(judged(np.random.default_rng(2), authors=9))
    assert few["interval_95"] == few["model_less"] == {}
    assert few["bits_per_byte"]["model"] == pytest.approx(2.0, abs=0.5)


def test_groups_add_up_to_the_whole_the_largest_first():
    one = judged(np.random.default_rng(3))
    found = by(one, np.where(one.authors < 15, "few", "many"))
    assert list(found) == ["many", "few"]
    assert sum(part["bytes"] for part in found.values()) == summarize(one)["bytes"]
    assert sum(part["authors"] for part in found.values()) == 60
