"""Attention: the tokens that each token may see, their positions, and the attention product.

Documents packed into one row attend only inside themselves. The attention mask comes in two forms:
cu_seqlens for the GPU's kernel, a bias on the scores elsewhere. The projections around the product
are in `network.py`; how documents come to share a row is in `data/packing.py`.

Letters in names: B rows, T tokens of a row, H query heads, K key-value heads, S head size. A cache
holds `past` tokens that came before a row's first: one number for all rows, or (B,) one for each.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from rookery.model.shape import ModelShape

# rows of up to this many tokens attend by plain matmuls on a CPU (measured; see `attention`)
PLAIN_ATTENTION_TOKENS = 512
# cu_seqlens are padded to a multiple of this: how many documents there are changes with each batch,
# and compiled code should see few different lengths
SPANS_MULTIPLE = 256

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines of the rotary positions, each (B, 1, T, S/2)."""


Past = int | Tensor


def document_positions(tokens_BT: Tensor, documents_BT: Tensor | None, past: Past = 0) -> Tensor:
    """Return the position of each token in its document: (B, T), or (1, T) where rows are alike.

    documents_BT: (B, past + T), the number of each token's document; None: a row is one document.
    """
    if documents_BT is None:
        return _column(past) + torch.arange(tokens_BT.shape[1], device=tokens_BT.device)[None]
    places = torch.arange(documents_BT.shape[1], device=tokens_BT.device)
    # the running maximum of the starts is the start of the document that a token belongs to
    starts_BT = torch.where(document_starts(documents_BT), places, 0).cummax(dim=1).values
    return (places - starts_BT)[:, past:]


def row_length(tokens_BT: Tensor, documents_BT: Tensor | None, past: Past) -> int:
    """Return the number of tokens in a row.

    The documents number all of them; the tokens may be one process's share of the row.
    """
    return tokens_BT.shape[1] if documents_BT is None else documents_BT.shape[1] - int(past)


def _column(past: Past) -> Tensor | int:
    """Return how many tokens came before, as (B, 1) where rows differ."""
    return past[:, None] if isinstance(past, Tensor) else past


def document_starts(documents_BT: Tensor) -> Tensor:
    """Return bool (B, T), true where a document begins."""
    begins = torch.ones_like(documents_BT, dtype=torch.bool)
    begins[:, 1:] = documents_BT[:, 1:] != documents_BT[:, :-1]
    return begins


@dataclass(frozen=True)
class CuSeqlens:
    """The cu_seqlens of packed rows: where each document begins when all rows lie end to end.

    starts: int32, then the number of all tokens, repeated up to a multiple of `SPANS_MULTIPLE`.
    longest: how many tokens a document has at most: the length of a row.
    """

    starts: Tensor
    longest: int


AttentionMask = Tensor | CuSeqlens | None
"""What a token may see: a bias on the scores, cu_seqlens, or (None) every token."""


def attention_mask(
    tokens_BT: Tensor, documents_BT: Tensor | None, past: Past, dtype: torch.dtype
) -> AttentionMask:
    """Return cu_seqlens where the GPU's kernel can use them, a bias elsewhere."""
    # the kernel computes in half precision only, and knows no cache
    has_kernel = tokens_BT.device.type == "cuda" and dtype in (torch.bfloat16, torch.float16)
    if documents_BT is not None and has_kernel and not past:
        return cu_seqlens(documents_BT)
    return attention_bias(tokens_BT, documents_BT, past, dtype)


def cu_seqlens(documents_BT: Tensor) -> CuSeqlens:
    """Return where the documents of all rows begin and end."""
    starts = document_starts(documents_BT).flatten().nonzero()[:, 0]
    ends = SPANS_MULTIPLE - len(starts) % SPANS_MULTIPLE  # at least one: the end of the last one
    padded = F.pad(starts, (0, ends), value=documents_BT.numel())
    return CuSeqlens(padded.int(), documents_BT.shape[1])


def attention_bias(
    tokens_BT: Tensor, documents_BT: Tensor | None, past: Past, dtype: torch.dtype
) -> Tensor | None:
    """Return the bias on the scores: 0 where a token may look, -∞ elsewhere.

    A token sees itself and what came before it, within its document. Shape (B, 1, T, past + T),
    with the longest row's past, or (1, 1, T, past + T) where rows are alike; None for a single
    token that may see everything.
    """
    tokens, device = row_length(tokens_BT, documents_BT, past), tokens_BT.device
    shortest, longest = _extremes(past)
    if tokens == 1 and shortest == longest:
        return None
    last_seen_BT = _column(past) + torch.arange(tokens, device=device)[None]
    may = torch.arange(longest + tokens, device=device) <= last_seen_BT[:, None, :, None]
    if documents_BT is not None:
        may = may & (documents_BT[:, None, longest:, None] == documents_BT[:, None, None, :])
    return torch.zeros(may.shape, dtype=dtype, device=device).masked_fill_(~may, -torch.inf)


def _extremes(past: Past) -> tuple[int, int]:
    """Return how many tokens came before in the shortest row and in the longest."""
    return (int(past.min()), int(past.max())) if isinstance(past, Tensor) else (past, past)


def attention(q_BHTS: Tensor, k_BKTS: Tensor, v_BKTS: Tensor, mask: AttentionMask) -> Tensor:
    """Return softmax attention (B, H, T, S); the H query heads form K groups of one key-value head.

    On a GPU the documents of a batch go through one kernel, and none pays for what it does not see.
    On a CPU, plain matmuls are 3.7 times as fast as PyTorch's fused kernel while the scores of a
    row fit into cache (measured forward and backward, rows of 128, bfloat16). Where no backward
    pass can follow, the fused kernel is the faster one at every size (1.3 to 4 times, float32).
    """
    is_grouped = q_BHTS.shape[1] > k_BKTS.shape[1]
    if isinstance(mask, CuSeqlens):
        return _document_attention(q_BHTS, k_BKTS, v_BKTS, mask)
    # not asked while layers are compiled, which are layers that learn
    no_backward = not torch.compiler.is_compiling() and torch.is_inference_mode_enabled()
    if q_BHTS.device.type != "cpu" or k_BKTS.shape[2] > PLAIN_ATTENTION_TOKENS or no_backward:
        return F.scaled_dot_product_attention(q_BHTS, k_BKTS, v_BKTS, mask, enable_gqa=is_grouped)
    return _plain_attention(q_BHTS, k_BKTS, v_BKTS, mask)


def _document_attention(q_BHTS: Tensor, k_BKTS: Tensor, v_BKTS: Tensor, mask: CuSeqlens) -> Tensor:
    # imported late: it brings torch's compiler along, which takes its time
    from torch.nn.attention.varlen import varlen_attn

    rows, heads, tokens, size = q_BHTS.shape
    q, k, v = (x.transpose(1, 2).reshape(-1, x.shape[1], size) for x in (q_BHTS, k_BKTS, v_BKTS))
    one, most = mask.starts, mask.longest
    # a window of all earlier tokens and no later one: causal
    y = varlen_attn(
        q, k, v, one, one, most, most, window_size=(-1, 0), enable_gqa=heads > k_BKTS.shape[1]
    )
    assert isinstance(y, Tensor)  # a tuple only where auxiliary outputs are asked for
    return y.view(rows, tokens, heads, size).transpose(1, 2)


def _plain_attention(q_BHTS: Tensor, k_BKTS: Tensor, v_BKTS: Tensor, bias: Tensor | None) -> Tensor:
    rows, heads, tokens, size = q_BHTS.shape
    groups, seen = k_BKTS.shape[1:3]
    # the query heads of a group lie one after another, so that one matmul serves the whole group
    q = (q_BHTS * size**-0.5).reshape(rows, groups, -1, size)
    scores = _Scores.apply(q, k_BKTS).view(rows, heads, tokens, seen)
    if bias is not None:
        scores = scores + bias
    return (scores.softmax(dim=-1).view(rows, groups, -1, seen) @ v_BKTS).view(q_BHTS.shape)


class _Scores(torch.autograd.Function):
    """The product q kᵀ, whose gradient of k has the memory layout of k.

    What follows in the backward pass then costs a third of attention less.
    """

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor) -> Tensor:
        ctx.save_for_backward(q, k)
        return q @ k.transpose(-2, -1)

    @staticmethod
    def backward(ctx, grad: Tensor):
        q, k = ctx.saved_tensors
        return grad @ k, grad.transpose(-2, -1) @ q


def rotary_angles(shape: ModelShape, positions_BT: Tensor, dtype: torch.dtype) -> Rotation:
    """Return cosines and sines (B, 1, T, S/2) of the rotary positions (arXiv:2104.09864)."""
    exponents = (
        torch.arange(0, shape.head_size, 2, device=positions_BT.device, dtype=torch.float32)
        / shape.head_size
    )
    angles = positions_BT[:, None, :, None].float() / shape.rope_theta**exponents
    return angles.cos().to(dtype), angles.sin().to(dtype)


def apply_rotary(x_BHTS: Tensor, rotation: Rotation) -> Tensor:
    """Turn each pair (i, i + S/2) by its angle: the half-rotation layout of transformers."""
    cos, sin = rotation
    a, b = x_BHTS.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)
