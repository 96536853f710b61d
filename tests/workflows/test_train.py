"""From a corpus to a model: what `--set` changed is said before anything is trained."""

import pytest

from rookery.core.context import Context
from rookery.core.errors import DataError, UsageError
from rookery.corpus.build import build_corpus
from rookery.model.checkpoint import load_shape
from rookery.model.config import config_for_scale, learning_rate_factor
from rookery.workflows.train import apply_settings, train

WORDS = ("rooks", "trams", "bread", "rowing", "stars", "gardens", "films", "choirs")


@pytest.fixture
def home_with_a_corpus(home, put, a_post):
    put(
        *(
            a_post(f"today {a} were better than {b}, said number {n}")
            for n, a in enumerate(WORDS)
            for b in WORDS
        )
    )
    build_corpus(home, Context())
    return home


def test_training_says_what_was_set_apart_from_the_scale(home_with_a_corpus, said):
    plan = config_for_scale(0.0001)
    settings = ["steps=2", "shape.layers=2", "checkpoint_steps=1"]
    made = train(home_with_a_corpus, 0.0001, settings=settings, context=Context(progress=said))
    assert [line for line in said.lines if line.startswith("Changed by --set: ")] == [
        f"Changed by --set: checkpoint_steps: {plan.checkpoint_steps} -> 1",
        f"Changed by --set: decay_steps: {plan.decay_steps} -> 1",
        "Changed by --set: shape.layers: 1 -> 2",
        f"Changed by --set: steps: {plan.steps} -> 2",
        f"Changed by --set: warmup_steps: {plan.warmup_steps} -> 0",
    ]
    assert made.manifest.metrics["steps"] == 2
    assert load_shape(made).layers == 2


def test_fewer_steps_still_reach_the_whole_learning_rate():
    config = apply_settings(config_for_scale(0.03), ["steps=100"])[0]
    factors = [learning_rate_factor(config, step) for step in range(config.steps)]
    assert (max(factors), factors.count(1.0), factors[-1]) == (1.0, 40, pytest.approx(1 / 51))
    assert config.checkpoint_steps == 5
    own = apply_settings(config_for_scale(0.03), ["warmup_steps=3", "steps=100", "decay_steps=7"])[
        0
    ]
    assert (own.warmup_steps, own.decay_steps) == (3, 7)


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("parallel.tensor=two", r"parallel\.tensor must be int, not 'two'"),
        ("parallel.tensr=2", r"there is no setting 'parallel\.tensr'.*Did you mean tensor"),
        ("watch.second=1", r"there is no setting 'watch\.second'.*Did you mean seconds"),
        ("tensor=2", r"there is no setting 'tensor'.*Did you mean parallel\.tensor\?"),
        ("seconds=2", r"there is no setting 'seconds'.*Did you mean watch\.seconds\?"),
        ("steps=0", "steps must be at least 1, not 0"),
        ("momentum=1", "momentum must be less than 1"),
        ("matrix_learning_rate=-1", "matrix_learning_rate must be at least 0, not -1"),
        (
            "matrix_learning_rate=1e38",
            r"matrix_learning_rate must be at least 0 and at most 1e\+37, not 1e\+38",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_the_name_that_was_typed(setting, line):
    with pytest.raises((UsageError, DataError), match=line):
        apply_settings(config_for_scale(0.03), [setting])


def test_a_setting_that_does_not_exist_is_refused_with_the_nearest(home_with_a_corpus):
    with pytest.raises(UsageError, match=r"there is no setting 'shape.layer'.*Did you mean layers"):
        train(home_with_a_corpus, 0.0001, settings=["shape.layer=2"])
