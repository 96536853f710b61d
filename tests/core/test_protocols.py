"""The twins: deterministic, and shaped as the protocols say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.protocols import GenerationOptions, HashedEmbedder, SeededGenerator, TextChunk


@given(st.lists(st.text(max_size=40), max_size=5))
def test_embeddings_have_length_one_or_zero_and_do_not_depend_on_their_neighbours(texts):
    embedder = HashedEmbedder()
    vectors = embedder.embed(texts)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(texts), embedder.dimensions)
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0))
    for text, vector in zip(texts, vectors, strict=True):
        assert np.array_equal(embedder.embed([text])[0], vector)


def test_texts_with_common_words_are_nearer_than_others():
    tram, night, bread = HashedEmbedder().embed(
        ["the tram is late", "a late night tram", "rye bread and butter"]
    )
    assert tram @ night > tram @ bread + 0.2


def test_an_embedder_with_another_seed_or_size_has_another_digest():
    digests = {e.digest for e in (HashedEmbedder(), HashedEmbedder(64), HashedEmbedder(seed=1))}
    assert len(digests) == 3
    assert HashedEmbedder().digest == HashedEmbedder().digest


def text_of(generator, prompt, **options):
    return "".join(p.text for p in generator.generate(prompt, GenerationOptions(**options)))


@given(st.text(max_size=30), st.integers(0, 20), st.integers(0, 1 << 32))
def test_generation_is_the_same_again_and_as_long_as_asked(prompt, max_tokens, seed):
    options = GenerationOptions(max_tokens=max_tokens, seed=seed)
    pieces = list(SeededGenerator().generate(prompt, options))
    assert pieces == list(SeededGenerator().generate(prompt, options))
    assert len(pieces) == max_tokens
    assert [p.finish_reason for p in pieces] == [None] * (max_tokens - 1) + ["length"] * (
        max_tokens > 0
    )


def test_another_seed_or_prompt_generates_something_else():
    prompt = "one two three four five six"
    assert text_of(SeededGenerator(), prompt) != text_of(SeededGenerator(seed=1), prompt)
    assert text_of(SeededGenerator(), prompt, seed=1) != text_of(SeededGenerator(), prompt, seed=2)


def test_the_twin_follows_the_options_of_sampling_and_ends_before_a_stop():
    prompt = "rook rook rook crow crow jackdaw"
    only = {"temperature": 0.0}, {"top_k": 1}, {"top_p": 0.01}, {"min_p": 1.0}
    for options in only:
        assert text_of(SeededGenerator(), prompt, max_tokens=9, **options) == " rook" * 9
    words = set(text_of(SeededGenerator(), prompt, max_tokens=200).split())
    assert words == {"rook", "crow", "jackdaw"}
    greedy = {"prompt": "rook rook crow", "max_tokens": 3, "temperature": 0.0}
    assert text_of(SeededGenerator(), **greedy, stop=("k ro",)) == " roo"
    assert list(
        SeededGenerator().generate("rook", GenerationOptions(max_tokens=3, stop=(" ",)))
    ) == [TextChunk("", 1, "stop")]


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("one two", 2)])
def test_tokens_of_the_twin_are_words(text, tokens):
    assert SeededGenerator().count_tokens(text) == tokens
