"""The report of a run: of one that still trains, of one with phases, and its escaped page."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.context import Context
from rookery.core.errors import UsageError
from rookery.corpus.build import build_corpus
from rookery.corpus.shards import write_shards
from rookery.model.config import TrainConfig
from rookery.model.evaluate import EvaluationConfig, evaluate
from rookery.model.pages.run import HEIGHT, WIDTH, chart, charts, page, ticks
from rookery.model.report import PROMPTS, describe, find_run, summary
from rookery.model.shape import ModelShape, training_flops_per_token
from rookery.model.tokenizer import load_tokenizer, train_tokenizer
from rookery.model.train import train
from rookery.town.posts import TownConfig, town_posts
from tests.model.test_train import Killed, killing

SHAPE = ModelShape(
    vocabulary=384,
    width=32,
    layers=1,
    heads=2,
    kv_heads=1,
    head_size=16,
    hidden=64,
    context_tokens=64,
)
FIRST = TrainConfig(
    0.0, SHAPE, steps=6, batch_tokens=512, warmup_steps=1, decay_steps=2, checkpoint_steps=3
)
SECOND = replace(FIRST, warmup_steps=0, seed=1)


@pytest.fixture
def town(home, put):
    """Return a home with a corpus, its tokenizer and its shards."""
    put(*town_posts(TownConfig(posts=500)))
    corpus = build_corpus(home, Context())
    tokenizer = train_tokenizer(home, corpus, Context(), SHAPE.vocabulary)
    return home, write_shards(home, corpus, load_tokenizer(tokenizer), Context()), tokenizer, corpus


def test_a_finished_run_with_two_phases_is_told_whole(town):
    home, shards, tokenizer, corpus = town
    first = train(home, shards, tokenizer, FIRST, Context())
    second = train(home, shards, tokenizer, SECOND, Context(), earlier=first)
    judged = evaluate(home, second, corpus, Context(), EvaluationConfig(most_documents=20))
    facts = describe(home, find_run(home, second.key))
    assert [run["key"] for run in facts["runs"]] == [first.key, second.key]
    assert [run["first_step"] for run in facts["runs"]] == [0, 6]
    assert [len(run["curve"]) for run in facts["runs"]] == [6, 6]
    assert facts["inputs"]["earlier"] == f"checkpoint {first.key}"
    assert facts["flops"] == 12 * 512 * training_flops_per_token(SHAPE)
    assert facts["validation_loss"] == second.manifest.metrics["validation_loss"]
    assert facts["evaluation"]["key"] == judged.key
    assert all(0 < note["utilisation"] < 2 for note in facts["runs"][1]["curve"])
    rates = [note["learning_rate"] for note in facts["runs"][1]["curve"]]
    assert rates == pytest.approx([0.02] * 4 + [0.02 * 2 / 3, 0.02 / 3])
    assert [sample["prompt"] for sample in facts["samples"]] == list(PROMPTS)
    assert facts == describe(home, second.path)  # samples are seeded
    assert json.loads(json.dumps(facts)) == facts
    text = page(facts)
    assert text.count("<svg") == 5
    assert "http" not in text
    assert f"{facts['phases'][0]['shards']}" in text


def test_a_run_that_is_still_going_is_told_so_far(town):
    home, shards, tokenizer, _ = town
    with pytest.raises(Killed):
        train(home, shards, tokenizer, FIRST, Context(progress=killing(2)))
    facts = describe(home, find_run(home))
    assert (facts["finished"], facts["steps_done"], facts["samples"]) == (False, 3, [])
    assert summary(facts)["steps_done"] == 3
    assert "3 of 6 steps done" in page(facts)


def test_a_run_is_found_by_the_beginning_of_its_key_or_as_the_one_begun_last(town):
    home, shards, tokenizer, _ = town
    with pytest.raises(UsageError, match="there is no run yet"):
        find_run(home)
    made = [
        train(home, shards, tokenizer, replace(FIRST, steps=3, seed=seed), Context())
        for seed in (0, 1)
    ]
    assert find_run(home) == made[1].path
    assert find_run(home, made[0].key[:9]) == made[0].path
    with pytest.raises(UsageError, match="no runs have a key that begins with 'x'"):
        find_run(home, "x")


def test_what_the_model_writes_is_shown_as_text(town):
    home, shards, tokenizer, _ = town
    facts = describe(home, train(home, shards, tokenizer, FIRST, Context()).path)
    shown = page(facts | {"samples": [{"prompt": "<b>", "text": "<script>alert(1)</script>"}]})
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


numbers = st.floats(-1e6, 1e6).map(lambda number: round(number, 3))


@given(st.lists(numbers, min_size=1))
def test_ticks_are_few_and_hold_all_values(values):
    found = ticks(values)
    assert found == sorted(set(found))
    assert 2 <= len(found) <= 7
    assert found[0] - 1e-6 <= min(values) <= max(values) <= found[-1] + 1e-6


@given(st.lists(st.tuples(st.integers(0, 10**6), numbers), min_size=1))
def test_lines_lie_inside_the_picture_and_more_is_higher(points):
    (line,) = chart("", "", [[(float(x), y) for x, y in points]]).lines
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line)
    heights = {value: y for (_, value), (_, y) in zip(points, line, strict=True)}
    assert heights[max(heights)] <= heights[min(heights)]


def test_a_long_run_is_drawn_with_few_points_and_a_straight_fall_stays_straight():
    curve = [{"step": n, "loss": 5.0 - n / 1000} for n in range(5000)]
    run = {"first_step": 0, "steps": 5000, "validation_loss": None, "curve": curve}
    (drawn,) = charts([run])
    (line,) = drawn.lines
    assert 100 < len(line) <= 300
    (x0, y0), (x1, y1) = line[0], line[-1]
    assert all(abs(y - y0 - (y1 - y0) * (x - x0) / (x1 - x0)) < 0.2 for x, y in line)


def test_what_was_judged_on_the_way_is_drawn_as_dots_after_its_step():
    curve = [
        {"step": n, "loss": 5.0, **({"held_out_loss": 6.0 - n} if n in (1, 3) else {})}
        for n in range(5)
    ]
    run = {"first_step": 10, "steps": 10, "validation_loss": None, "curve": curve}
    (drawn,) = charts([run])
    assert [words for _, _, words in drawn.dots] == [
        "a few held out: 5.000",
        "a few held out: 3.000",
    ]
    assert drawn.dots[0][0] == round(WIDTH * 12 / 14, 1)


def test_a_run_without_any_step_has_no_charts():
    assert charts([{"first_step": 0, "steps": 9, "validation_loss": None, "curve": []}]) == []
