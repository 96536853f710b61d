"""Evaluated texts are later than all that is learned from, are new, and occur once."""

import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "later_tweets.py"
spec = importlib.util.spec_from_file_location("later_tweets", FILE)
later_tweets = importlib.util.module_from_spec(spec)
spec.loader.exec_module(later_tweets)


@pytest.fixture
def texts(monkeypatch):
    """A thousand texts in the order of time, of which a fifth is set aside.

    Many occur earlier too, some are missing or empty.
    """
    monkeypatch.setattr(later_tweets, "SET_ASIDE", 200)
    monkeypatch.setattr(later_tweets, "JUDGED", 50)
    numbers = np.random.default_rng(0).integers(700, size=1000)
    return pa.array(
        [None if n == 1 else "" if n == 2 else f"text {n}" for n in numbers], pa.large_string()
    )


def test_no_judged_text_was_learned_from_or_stands_there_twice(texts):
    train, judged = (
        texts.take(pa.array(places)).to_pylist() for places in later_tweets.split(texts)
    )
    assert len(judged) == len(set(judged)) == 50
    assert len(train) == len(set(train))
    assert not set(judged) & set(texts[:800].to_pylist())
    assert set(train) == set(texts[:800].to_pylist()) - {None, ""}


def test_all_that_is_judged_is_later_and_the_choice_is_always_the_same(texts):
    train, judged = later_tweets.split(texts)
    assert train.max() < 800 <= judged.min()
    again = later_tweets.split(texts)
    assert (again[0] == train).all()
    assert (again[1] == judged).all()
