"""The size and shape of a planned model and its batch, as they follow from the tokens alone.

Not here: how the model is laid out on GPUs (`layout.py`). The arithmetic of a shape is in
`model/shape.py`.
"""

import math

from rookery.model.shape import ModelShape

TOKENS_PER_PARAMETER = 20
"""Chinchilla, arXiv:2203.15556: about 20 tokens per parameter use a budget of compute best."""

VOCABULARY = 131_072
CONTEXT_TOKENS = 8192
HEAD_SIZE = 128
KV_HEADS = 8
WIDTH_PER_LAYER = 128
"""Llama 3 has widths and layers of 4096/32, 8192/80 and 16384/126: 128, 102 and 130 per layer."""


def shape_for_parameters(wanted: int) -> ModelShape:
    """Return the shape that has about this many parameters.

    It has a width of 128 per layer, a SwiGLU of 3.5 widths, 8 key-value heads and tied embeddings.
    Such a layer has about 12.5 width² weights, so the number of layers follows from a cube root;
    the width then solves `12.5 layers width² + (2·8·128 layers + vocabulary) width = wanted`.
    """
    layers = max(2, round((wanted / (12.5 * WIDTH_PER_LAYER**2)) ** (1 / 3)))
    square, linear = 12.5 * layers, 2 * KV_HEADS * HEAD_SIZE * layers + VOCABULARY
    exact = (math.sqrt(linear**2 + 4 * square * wanted) - linear) / (2 * square)
    width = HEAD_SIZE * max(1, round(exact / HEAD_SIZE))
    kv_heads = min(KV_HEADS, width // HEAD_SIZE)
    heads = kv_heads * max(1, round(width / HEAD_SIZE / kv_heads))
    return ModelShape(
        VOCABULARY, width, layers, heads, kv_heads, HEAD_SIZE, round(3.5 * width), CONTEXT_TOKENS
    )


def sequences_per_step(tokens: float) -> int:
    """Return the global batch for a run of this many tokens, as a number of whole contexts.

    It is 16.8M tokens at 15.6T (Llama 3 405B) and grows as tokens^0.383. The exponent is that of
    arXiv:2505.13738, which nanochat uses too. For the 1.2B tokens of nanochat's smallest runs the
    rule gives 0.45M tokens per step, where nanochat found 0.5M. A larger batch would keep more GPUs
    busy, but would learn less from each token.
    """
    batch_tokens = 16.8e6 * (tokens / 15.6e12) ** 0.383
    return max(1, round(batch_tokens / CONTEXT_TOKENS))
