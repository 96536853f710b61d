"""Sampling: probabilities respect every cut, penalties touch only what they are for."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.errors import UsageError
from rookery.core.sampling import GenerationOptions, Sampler, likeliest, logprobs_of, penalized

LOGITS = st.lists(st.integers(-50, 50), min_size=1, max_size=40).map(
    lambda values: np.array(values, dtype=np.float32)
)
HALVES = np.log([0.5, 0.3, 0.15, 0.05])


def probabilities(logits, **options):
    """Return the probability of every token, 0 where it was cut off."""
    tokens, p = likeliest(logits, GenerationOptions(**options))
    whole = np.zeros(len(logits))
    whole[tokens] = p
    return whole


@given(LOGITS, st.floats(0.05, 5), st.integers(-1, 50), st.floats(0.01, 1), st.floats(0, 1))
def test_probabilities_sum_to_one_and_respect_the_cuts(logits, temperature, top_k, top_p, min_p):
    p = probabilities(logits, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    assert p.sum() == pytest.approx(1.0)
    assert logits[p.argmax()] == pytest.approx(logits.max())
    assert (p > 0).sum() <= (top_k if top_k > 0 else len(logits))
    assert logits[p > 0].min(initial=50) >= logits[p == 0].max(initial=-50)


def test_top_p_keeps_the_fewest_that_hold_it():
    p = probabilities(HALVES, temperature=1.0, top_k=0, top_p=0.75)
    assert p == pytest.approx([0.625, 0.375, 0, 0])


def test_min_p_keeps_what_is_near_the_likeliest():
    p = probabilities(HALVES, temperature=1.0, top_k=0, min_p=0.4)
    assert p == pytest.approx([0.625, 0.375, 0, 0])


def test_top_k_keeps_the_highest_of_a_large_vocabulary():
    logits = np.random.default_rng(0).normal(size=32_000).astype(np.float32)
    tokens, _ = likeliest(logits, GenerationOptions(top_k=50))
    assert set(tokens) == set(np.argsort(-logits)[:50])


def test_what_is_impossible_is_never_drawn():
    logits = np.array([-np.inf, 0.0, -np.inf, 0.0], dtype=np.float32)
    for top_k in (0, 3):
        sampler = Sampler(GenerationOptions(top_k=top_k), np.random.default_rng(0))
        assert {sampler.choose(logits) for _ in range(100)} == {1, 3}


def test_tokens_are_drawn_as_often_as_they_are_probable():
    sampler = Sampler(GenerationOptions(temperature=1.0, top_k=0), np.random.default_rng(0))
    drawn = np.bincount([sampler.choose(HALVES) for _ in range(4000)], minlength=4) / 4000
    assert np.abs(drawn - np.exp(HALVES)).max() < 0.03


@given(LOGITS, st.floats(1.01, 2))
def test_a_repetition_penalty_makes_seen_tokens_less_likely_and_no_others(logits, penalty):
    prompt, written = set(range(0, len(logits), 3)), {n: 1 for n in range(1, len(logits), 3)}
    changed = penalized(logits, prompt, written, GenerationOptions(repetition_penalty=penalty))
    others = np.arange(2, len(logits), 3)
    assert (changed[others] == logits[others]).all()
    assert (changed <= logits).all()


def test_the_other_penalties_count_what_was_written_and_not_the_prompt():
    options = GenerationOptions(frequency_penalty=0.5, presence_penalty=1.0)
    changed = penalized(np.zeros(4), {0, 1}, {1: 1, 2: 3}, options)
    assert changed.tolist() == [0, -1.5, -2.5, 0]


def test_a_sampler_remembers_what_it_chose():
    options = GenerationOptions(temperature=0.0, presence_penalty=1.0)
    sampler = Sampler(options, np.random.default_rng(0))
    assert [sampler.choose(np.array([0.9, 0.5, 0.0])) for _ in range(3)] == [0, 1, 2]


def test_logprobs_are_those_of_the_model_itself():
    own, top = logprobs_of(HALVES.astype(np.float32), 3, 2)
    assert own == pytest.approx(math.log(0.05), abs=1e-5)
    assert [token for token, _ in top] == [0, 1]
    assert [p for _, p in top] == pytest.approx([math.log(0.5), math.log(0.3)], abs=1e-5)
    assert logprobs_of(HALVES, 0, 0)[1] == []


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -1},
        {"temperature": math.nan},
        {"top_p": 1.5},
        {"min_p": -0.1},
        {"repetition_penalty": 0},
        {"frequency_penalty": math.inf},
        {"seed": -1},
        {"n": 0},
        {"logprobs": 21},
    ],
)
def test_a_number_that_makes_no_sense_is_refused_by_its_name(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        GenerationOptions(**options)
