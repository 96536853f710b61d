"""The network: a Qwen3-shaped decoder for one device, in plain torch.

RMSNorm, rotary positions, grouped-query attention with normed queries and keys, SwiGLU, no biases;
the output matrix is the embedding where they are tied. Parameter names and arithmetic are those of
transformers' Qwen3ForCausalLM, or without those norms LlamaForCausalLM: tensors are only copied.

Not here: masks, positions and the attention product (`attention.py`), first weights and loss
(`training/`), files (`checkpoint.py`), many devices (`parallel/placement.py`).

Shapes. A tensor's name ends in the letters of its dimensions:

    B  rows of a batch      H  query heads
    T  tokens of a row      K  key-value heads (K divides H)
    D  width                S  head size (H × S need not equal D)
    V  vocabulary
"""

from operator import attrgetter

import torch.nn.functional as F
from torch import Tensor, nn

from rookery.model.attention import (
    AttentionMask,
    Rotation,
    apply_rotary,
    attention,
    attention_mask,
    document_positions,
    rotary_angles,
    row_length,
)
from rookery.model.inference.cache import Cache
from rookery.model.norm import RMSNorm
from rookery.model.shape import ModelShape


class Attention(nn.Module):
    """Grouped-query attention, with normed queries and keys unless the shape has none."""

    def __init__(self, shape: ModelShape):
        super().__init__()
        self.head_size = shape.head_size
        queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
        self.q_proj = nn.Linear(shape.width, queries, bias=False)
        self.k_proj = nn.Linear(shape.width, keys, bias=False)
        self.v_proj = nn.Linear(shape.width, keys, bias=False)
        # begins at zero (`initialization.py`): a new layer adds nothing to the residual stream
        self.o_proj = nn.Linear(queries, shape.width, bias=False)
        size, epsilon = shape.head_size, shape.norm_epsilon
        self.q_norm = RMSNorm(size, epsilon) if shape.normed else nn.Identity()
        self.k_norm = RMSNorm(size, epsilon) if shape.normed else nn.Identity()

    def forward(
        self,
        x_BTD: Tensor,
        rotation: Rotation,
        mask: AttentionMask,
        cache: Cache | None,
        layer: int,
    ) -> Tensor:
        rows, tokens, _ = x_BTD.shape
        heads = (rows, tokens, -1, self.head_size)
        # Each head is normed by itself before it is rotated: a score depends on directions and on
        # the norms' weights, however large the stream grows. Values are neither normed nor rotated.
        q_BHTS = apply_rotary(self.q_norm(self.q_proj(x_BTD).view(heads)).transpose(1, 2), rotation)
        k_BKTS = apply_rotary(self.k_norm(self.k_proj(x_BTD).view(heads)).transpose(1, 2), rotation)
        v_BKTS = self.v_proj(x_BTD).view(heads).transpose(1, 2)
        # The cache holds rotated keys: earlier tokens keep their positions.
        if cache is not None:
            k_BKTS, v_BKTS = cache.extend(layer, k_BKTS, v_BKTS)
        y_BHTS = attention(q_BHTS, k_BKTS, v_BKTS, mask)
        return self.o_proj(y_BHTS.transpose(1, 2).reshape(rows, tokens, -1))


class MLP(nn.Module):
    """SwiGLU (arXiv:2002.05202): one projection gates another, a third returns to the width."""

    def __init__(self, shape: ModelShape):
        super().__init__()
        self.gate_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down_proj = nn.Linear(shape.hidden, shape.width, bias=False)  # begins at zero too

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """Attention, then the SwiGLU, each on a normed copy and added to the residual stream."""

    def __init__(self, shape: ModelShape):
        super().__init__()
        self.input_layernorm = RMSNorm(shape.width, shape.norm_epsilon)
        self.self_attn = Attention(shape)
        # transformers' name for the norm before the SwiGLU
        self.post_attention_layernorm = RMSNorm(shape.width, shape.norm_epsilon)
        self.mlp = MLP(shape)

    def forward(
        self,
        x_BTD: Tensor,
        rotation: Rotation,
        mask: AttentionMask,
        cache: Cache | None,
        layer: int,
    ) -> Tensor:
        # The norms are placed before each part and not on the residual stream, which is only added
        # to: gradients reach every layer along it unchanged.
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), rotation, mask, cache, layer)
        return x_BTD + self.mlp(self.post_attention_layernorm(x_BTD))


class Decoder(nn.Module):
    """The embedding, the layers and the last norm; `Network` runs them."""

    def __init__(self, shape: ModelShape):
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = RMSNorm(shape.width, shape.norm_epsilon)


class Network(nn.Module):
    """A decoder from tokens to hidden states.

    Logits and loss are computed by separate calls, since they are the largest tensors.
    """

    def __init__(self, shape: ModelShape):
        super().__init__()
        self.shape = shape
        self.model = Decoder(shape)
        # An output matrix of its own begins at zero: all tokens are equally likely, the first loss
        # is log V.
        if not shape.tied:
            self.lm_head = nn.Linear(shape.width, shape.vocabulary, bias=False)

    @property
    def head_VD(self) -> Tensor:
        """Return the output matrix: the embedding itself where they are tied."""
        return attrgetter(head_name(self.shape))(self)

    def forward(
        self, tokens_BT: Tensor, documents_BT: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        """Return the normed hidden states (B, T, D) of tokens (int64).

        tokens_BT: in a pipeline, instead of tokens, the residual stream (B, T, D) that the earlier
        layers left.
        documents_BT: a number for each token; neighbours with the same number are one document,
        which begins at position 0 and is seen only by itself. Without it, a row is one document.
        cache: the tokens follow those in the cache, and are added to it; documents then number
        those too. Its rows may have different lengths.
        """
        past = cache.length if cache is not None else 0
        x_BTD = tokens_BT if tokens_BT.is_floating_point() else self.model.embed_tokens(tokens_BT)
        # Rotation and mask are the same for all layers, so they are computed once.
        positions_BT = document_positions(tokens_BT, documents_BT, past)
        rotation = rotary_angles(self.shape, positions_BT, x_BTD.dtype)
        mask = attention_mask(tokens_BT, documents_BT, past, x_BTD.dtype)
        for number, layer in enumerate(self.model.layers):
            x_BTD = layer(x_BTD, rotation, mask, cache, number)
        # Only now: while the layers ran, each had to write at the same place.
        if cache is not None:
            cache.advance(row_length(tokens_BT, documents_BT, past))
        # The only norm of the stream itself, whose size has grown with every layer.
        return self.model.norm(x_BTD)

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits over the vocabulary (…, V) of normed hidden states (…, D)."""
        return F.linear(hidden, self.head_VD)


def head_name(shape: ModelShape) -> str:
    """Return the name of a network's output matrix among its weights."""
    return "model.embed_tokens.weight" if shape.tied else "lm_head.weight"
