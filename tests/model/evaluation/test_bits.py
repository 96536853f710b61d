"""Bits: every token of a text is counted once, whatever the text's length, each text alone."""

import math

import pytest
import torch

from rookery.model.checkpoint import load_network
from rookery.model.evaluation.bits import text_bits
from rookery.model.tokenizer import load_tokenizer

LONG_ONES = [
    "the rooks came back",
    "грачи вернулись домой",
    "hello elms, hello rooks",
    "a long one " * 30,
]


def test_bits_are_those_of_the_plain_product_of_probabilities(checkpoint):
    network, tokenizer = load_network(checkpoint), load_tokenizer(checkpoint)
    texts = ["the rooks", "hello", "грачи", ""]
    expected = []
    for (tokens,) in ([t] for t in tokenizer.encode(texts)):
        whole = torch.tensor([[tokenizer.end_of_document, *tokens]])
        log_p = network.logits(network(whole)).log_softmax(-1)[0]
        expected.append(-sum(float(log_p[i, t]) for i, t in enumerate(tokens)) / math.log(2))
    assert text_bits(network, tokenizer, texts) == pytest.approx(expected, rel=1e-4)


def test_a_text_longer_than_the_context_is_counted_to_its_last_token(checkpoint):
    """Zeroed weights make every token cost the same, so that bits count tokens."""
    network, tokenizer = load_network(checkpoint), load_tokenizer(checkpoint)
    network.model.embed_tokens.weight.zero_()
    texts = ["a" * n for n in (0, 1, 22, 23, 24, 25, 26, 35, 36, 37, 48, 49, 200)] + LONG_ONES
    bits = text_bits(network, tokenizer, texts)
    counted = [len(tokens) for tokens in tokenizer.encode(texts)]
    assert (bits / math.log2(network.shape.vocabulary)).round(3).tolist() == counted
    assert max(counted) > 4 * network.shape.context_tokens


CONTROLS = ["<|language:en|>", "<|time:2026|>"]


def test_control_tokens_are_known_and_not_counted(make_checkpoint):
    """A control that the model does not know is left out."""
    made = make_checkpoint(controls=CONTROLS)
    network, tokenizer = load_network(made), load_tokenizer(made)
    (tokens,) = tokenizer.encode(["the rooks"])
    given = [tokenizer.end_of_document, *map(tokenizer.special.__getitem__, CONTROLS)]
    log_p = network.logits(network(torch.tensor([[*given, *tokens]]))).log_softmax(-1)[
        0, len(given) - 1 :
    ]
    expected = -sum(float(log_p[i, t]) for i, t in enumerate(tokens)) / math.log(2)
    controls = [[*CONTROLS, "<|engagement:3|>"], []]
    plain = text_bits(network, tokenizer, ["the rooks"])
    assert text_bits(network, tokenizer, ["the rooks"] * 2, controls=controls) == pytest.approx(
        [expected, *plain]
    )


def test_a_text_after_control_tokens_is_counted_to_its_last_token(make_checkpoint):
    made = make_checkpoint(controls=CONTROLS)
    network, tokenizer = load_network(made), load_tokenizer(made)
    network.model.embed_tokens.weight.zero_()
    texts = ["a" * n for n in (0, 1, 21, 22, 23, 24, 25, 33, 34, 35, 36, 200)] + LONG_ONES
    bits = text_bits(network, tokenizer, texts, controls=[CONTROLS] * len(texts))
    counted = [len(tokens) for tokens in tokenizer.encode(texts)]
    assert (bits / math.log2(network.shape.vocabulary)).round(3).tolist() == counted
