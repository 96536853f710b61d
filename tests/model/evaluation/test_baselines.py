"""The baselines: probabilities sum to one, each text counts alone, and learning shortens it."""

import lzma

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.model.evaluation.baselines import (
    BOUNDARY,
    CODE_POINTS,
    _symbols,
    train_ngram,
    xz_bits_per_byte,
    zstd_bits,
)

TRAINING = [
    "the rooks came back to the elms",
    "the rooks went to the river",
    "грачи вернулись домой",
    "a rook is not a crow",
    "aaaa bbbb",
] * 7 + ["once: ξ"]
MODEL = train_ngram(TRAINING)
fewer = settings(max_examples=40)
NEAR = st.text(alphabet="the rooks гач🦜ξ", max_size=12)


@fewer
@given(st.one_of(st.text(max_size=12), NEAR))
def test_after_any_text_the_probabilities_of_all_symbols_sum_to_one(text):
    symbols, age = _symbols([text], MODEL.alphabet)
    total = 0.0
    for symbol in range(MODEL.kinds):
        symbols[-1] = symbol
        total += MODEL.probabilities(symbols, age)[-1]
    assert total == pytest.approx(1.0, abs=1e-5)


@fewer
@given(NEAR)
def test_what_the_next_character_costs_is_a_code_over_all_code_points(text):
    """Known characters, all others through the escape, and the end: their shares fill one."""
    known = [chr(c) for c in MODEL.alphabet]
    bits = MODEL.bits([text, text + "\U0010fffd", *(text + c for c in known)])
    share = 2.0 ** -(bits[1:] - bits[0])
    symbols, age = _symbols([text], MODEL.alphabet)
    end = MODEL.probabilities(symbols, age)[-1]
    assert symbols[-1] == BOUNDARY
    assert share[0] * (CODE_POINTS - len(known)) + share[1:].sum() + end == pytest.approx(
        1.0, abs=1e-5
    )


@fewer
@given(st.lists(NEAR, max_size=5))
def test_a_text_costs_the_same_alone_and_among_others(texts):
    assert MODEL.bits(texts) == pytest.approx([MODEL.bits([t])[0] for t in texts])


def test_a_text_like_the_training_texts_is_cheaper_than_another():
    like, unlike = MODEL.bits(["the rooks went back", "skoor eht tnew kcab"])
    assert like < 0.5 * unlike


def test_more_training_makes_later_text_cheaper():
    words = ["rook", "elm", "river", "crow", "the", "came", "went", "home"]
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(words, 8)) for _ in range(400)]
    little, much = train_ngram(texts[:10]), train_ngram(texts[:300])
    assert much.bits(texts[300:]).sum() < little.bits(texts[300:]).sum()


@pytest.mark.parametrize("training", [[], [""], ["a"], ["ab", "ab"]])
def test_hardly_any_training_text_is_enough_to_give_finite_costs(training):
    assert np.isfinite(train_ngram(training).bits(["ab", "", "что"])).all()
    assert (zstd_bits(training, ["ab", "что"]) > 0).all()


def test_a_dictionary_makes_similar_texts_cheaper():
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("abcdefghij"), 8)) for _ in range(50)]
    texts = [" ".join(random.choice(words, 10)) for _ in range(3000)]
    with_it, without = zstd_bits(texts[:2900], texts[2900:]), zstd_bits([], texts[2900:])
    assert with_it.sum() < 0.6 * without.sum()


def test_line_ends_between_texts_are_no_bytes_of_theirs():
    texts = ["a", "я", "c"] * 50
    packed = 8 * len(lzma.compress("\n".join(texts).encode(), preset=9 | lzma.PRESET_EXTREME))
    assert xz_bits_per_byte(texts) * 200 == pytest.approx(packed)
