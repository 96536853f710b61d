"""The shape of a model: its sizes, and what they cost in parameters, memory and arithmetic.

This module does not import torch, so that the fleet planner can use it. The network that has this
shape is in `network.py`; the rules that choose a shape for a scale are in `config.py`.
"""

from dataclasses import dataclass

from rookery.core.errors import DataError


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a Qwen3-shaped decoder, or of a Llama-shaped one, without norms of queries.

    vocabulary: how many tokens the model knows. width: size of the residual stream. heads,
    kv_heads: query heads and key-value heads of a layer. head_size: size of one attention head
    (heads × head_size need not equal the width). hidden: inner size of the SwiGLU. tied: whether
    the output matrix is the embedding. normed: whether queries and keys are normalised, as in Qwen3
    and not in Llama. Raises `DataError` for sizes that make no network.
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    hidden: int
    context_tokens: int
    rope_theta: float = 10_000.0
    norm_epsilon: float = 1e-6
    tied: bool = True
    normed: bool = True

    def __post_init__(self) -> None:
        sizes = (
            "vocabulary",
            "width",
            "layers",
            "heads",
            "kv_heads",
            "head_size",
            "hidden",
            "context_tokens",
        )
        for name in sizes:
            if getattr(self, name) < 1:
                raise DataError(f"shape.{name} must be at least 1, not {getattr(self, name)}")
        if self.heads % self.kv_heads:
            raise DataError(
                f"shape.heads ({self.heads}) must be a multiple of shape.kv_heads ({self.kv_heads})"
            )
        if self.head_size % 2:
            raise DataError(
                f"shape.head_size must be even for rotary positions, not {self.head_size}"
            )


def layer_matrix_parameters(shape: ModelShape) -> int:
    """Return the number of parameters in the matrices of one layer.

    Those are queries, keys, values, output, and the three of the SwiGLU.
    """
    attention = shape.width * shape.head_size * (2 * shape.heads + 2 * shape.kv_heads)
    return attention + 3 * shape.width * shape.hidden


def matrix_parameters(shape: ModelShape) -> int:
    """Return the number of parameters that every token is multiplied with.

    Those are the matrices of all layers and the output matrix.
    """
    return shape.layers * layer_matrix_parameters(shape) + shape.vocabulary * shape.width


def parameters(shape: ModelShape) -> int:
    """Return the number of all parameters: matrices, norms and an untied embedding.

    Norms: two of the width in each layer, two of the head size where queries and keys are normed,
    and one of the width at the end.
    """
    of_heads = 2 * shape.head_size if shape.normed else 0
    norms = shape.layers * (2 * shape.width + of_heads) + shape.width
    embedding = 0 if shape.tied else shape.vocabulary * shape.width
    return matrix_parameters(shape) + norms + embedding


def layer_activation_bytes(shape: ModelShape) -> int:
    """Return the bytes (bf16) that one layer keeps of one token for the backward pass.

    After arXiv:2205.05198, rewritten for SwiGLU and grouped queries: four tensors of the width (two
    residuals, attention's output and its projection), queries, keys, values, and two of the
    SwiGLU's inner size; norms and the SwiGLU's product are computed again, which costs next to
    nothing. No attention matrix is kept.
    """
    attention = shape.head_size * (shape.heads + 2 * shape.kv_heads)
    return 2 * (4 * shape.width + attention + 2 * shape.hidden)


def forward_flops_per_token(shape: ModelShape, attended_tokens: float | None = None) -> float:
    """Return the floating-point operations of one token's forward pass.

    They are 2 for each matrix parameter, and in each layer 4 × heads × head_size × attended tokens
    for the scores and the weighted sum. The attended tokens default to the whole context, not
    halved for causality, as in PaLM, appendix B (arXiv:2204.02311).
    """
    attended = shape.context_tokens if attended_tokens is None else attended_tokens
    return (
        2.0 * matrix_parameters(shape)
        + 4.0 * shape.layers * shape.heads * shape.head_size * attended
    )


def training_flops_per_token(shape: ModelShape, attended_tokens: float | None = None) -> float:
    """Return the floating-point operations of one token's forward and backward pass.

    They are three times those of the forward pass (PaLM, appendix B).
    """
    return 3.0 * forward_flops_per_token(shape, attended_tokens)
