"""Pooling: the mean of a text's own hidden states, whatever it shares a batch with."""

import numpy as np
import pytest
import torch

from rookery.model.checkpoint import load_network
from rookery.model.inference.pooling import batches_by_length, load_pooling, mean_states
from rookery.model.tokenizer import load_tokenizer

TEXTS = [
    "the rooks came back to the elms",
    "hello",
    "",
    "грачи вернулись домой и спят",
    "hello hello",
]


def test_a_vector_is_the_mean_of_the_states_after_the_first_token(checkpoint):
    network, tokenizer = load_network(checkpoint), load_tokenizer(checkpoint)
    means = mean_states(network, tokenizer, TEXTS)
    for text, mean in zip(TEXTS, means, strict=True):
        tokens = tokenizer.encode([text])[0][: network.shape.context_tokens - 1]
        with torch.no_grad():
            hidden = network(torch.tensor([[tokenizer.end_of_document, *tokens]]))[0, 1:]
        expected = hidden.mean(0).numpy() if tokens else np.zeros(network.shape.width)
        assert mean == pytest.approx(expected, abs=1e-5)


def test_vectors_have_length_1_or_0_and_a_long_text_is_cut(checkpoint):
    embedder = load_pooling(checkpoint)
    vectors = embedder.embed([*TEXTS, "rooks " * 500, "rooks " * 501])
    lengths = np.linalg.norm(vectors, axis=1)
    assert lengths == pytest.approx([1, 1, 0, 1, 1, 1, 1], abs=1e-3)
    assert vectors.shape == (7, embedder.dimensions)
    assert (vectors[-1] == vectors[-2]).all()
    assert embedder.embed([]).shape == (0, embedder.dimensions)


def test_every_text_is_in_one_batch_that_is_not_too_large():
    lengths = [5, 0, 90, 1, 7, 7, 300, 2]
    batches = list(batches_by_length(lengths, tokens=100))
    assert sorted(n for batch in batches for n in batch) == [0, 2, 3, 4, 5, 6, 7]
    for batch in batches:
        assert len(batch) == 1 or len(batch) * (max(lengths[n] for n in batch) + 1) <= 100
