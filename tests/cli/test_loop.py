"""From a corpus to a model: what `--set` changed is said before anything is trained."""

import pytest

from rookery.cli.loop import train_model
from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.corpus.build import build
from rookery.model.checkpoint import load_shape
from rookery.model.config import config_for_scale

WORDS = ("rooks", "trams", "bread", "rowing", "stars", "gardens", "films", "choirs")


@pytest.fixture
def home_with_a_corpus(home, put, a_post):
    put(*(a_post(f"today {a} were better than {b}, said number {n}") for n, a in enumerate(WORDS) for b in WORDS))
    build(home, Context())
    return home


def test_training_says_what_was_set_apart_from_the_scale(home_with_a_corpus, said):
    steps = config_for_scale(0.0001).steps
    settings = ["steps=2", "shape.layers=2"]
    made = train_model(home_with_a_corpus, 0.0001, Context(progress=said), settings)
    assert [line for line in said.lines if line.startswith("Not as the scale has it: ")] == [
        "Not as the scale has it: shape.layers: 1 -> 2",
        f"Not as the scale has it: steps: {steps} -> 2",
    ]
    assert made.manifest.metrics["steps"] == 2
    assert load_shape(made).layers == 2


def test_a_setting_that_does_not_exist_is_refused_with_the_nearest(home_with_a_corpus):
    with pytest.raises(UsageError, match=r"there is no setting 'shape.layer'.*Did you mean layers"):
        train_model(home_with_a_corpus, 0.0001, Context(), ["shape.layer=2"])
