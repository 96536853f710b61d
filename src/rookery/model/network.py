"""The network: a Qwen3-shaped decoder for one device, in plain torch.

RMSNorm, rotary positions, grouped-query attention with normed queries and keys, SwiGLU, no biases;
the output matrix is the embedding where they are tied. Parameter names and arithmetic are those of
transformers' Qwen3ForCausalLM, so that an export copies tensors. Documents packed into one row
attend only inside themselves. Knows nothing of training (`train.py`), of files (`checkpoint.py`) or
of many devices.

Letters in names: B rows, T tokens of a row, D width, H heads, K key-value heads, S head size, V
vocabulary.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rookery.core.digest import digest_value
from rookery.model.inference.cache import Cache
from rookery.model.shape import ModelShape

IGNORED = -100  # a target that is not counted in the loss
PLAIN_ATTENTION_TOKENS = 512  # rows up to here attend by plain products on a CPU
LOSS_CHUNK_TOKENS = {
    "cpu": 2048,
    "cuda": 8192,
}  # smaller ones add to the gradient of the head more often
# of a matrix come from one generator, so that a process draws hardly more than the rows it holds
DRAWN_ROWS = 64
# how many documents there are changes with each batch; compiled code sees few different numbers
SPANS_MULTIPLE = 256


class _Normed(torch.autograd.Function):
    """x / √(mean(x²) + ε) × weight, with its own backward: a third of the time of PyTorch's on a
    CPU.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale = (length.square_() / x.shape[-1]).add_(epsilon).rsqrt_().to(x.dtype)
        unit = x * scale
        ctx.save_for_backward(unit, scale, weight)
        return unit * weight

    @staticmethod
    def backward(ctx, grad: Tensor):
        unit, scale, weight = ctx.saved_tensors
        per_place = (grad * unit).reshape(-1, weight.numel())
        along = (per_place @ weight).reshape(scale.shape).div_(-weight.numel())
        return torch.addcmul(grad * weight, unit, along).mul_(scale), per_place.sum(0), None


class RMSNorm(nn.Module):
    """Divides by the root mean square over the last dimension (arXiv:1910.07467)."""

    def __init__(self, size: int, epsilon: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return _Normed.apply(x, self.weight, self.epsilon)


class Attention(nn.Module):
    """Grouped-query attention with normed queries and keys."""

    def __init__(self, shape: ModelShape):
        super().__init__()
        self.head_size = shape.head_size
        queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
        self.q_proj = nn.Linear(shape.width, queries, bias=False)
        self.k_proj = nn.Linear(shape.width, keys, bias=False)
        self.v_proj = nn.Linear(shape.width, keys, bias=False)
        self.o_proj = nn.Linear(queries, shape.width, bias=False)
        self.q_norm = RMSNorm(shape.head_size, shape.norm_epsilon)
        self.k_norm = RMSNorm(shape.head_size, shape.norm_epsilon)

    def forward(
        self, x_BTD: Tensor, rotation: tuple, mask: "AttentionMask", cache: Cache | None, layer: int
    ) -> Tensor:
        rows, tokens, _ = x_BTD.shape
        heads = (rows, tokens, -1, self.head_size)
        q_BHTS = apply_rotary(self.q_norm(self.q_proj(x_BTD).view(heads)).transpose(1, 2), rotation)
        k_BKTS = apply_rotary(self.k_norm(self.k_proj(x_BTD).view(heads)).transpose(1, 2), rotation)
        v_BKTS = self.v_proj(x_BTD).view(heads).transpose(1, 2)
        if cache is not None:
            k_BKTS, v_BKTS = cache.extend(layer, k_BKTS, v_BKTS)
        y_BHTS = attention(q_BHTS, k_BKTS, v_BKTS, mask)
        return self.o_proj(y_BHTS.transpose(1, 2).reshape(rows, tokens, -1))


class MLP(nn.Module):
    """SwiGLU (arXiv:2002.05202)."""

    def __init__(self, shape: ModelShape):
        super().__init__()
        self.gate_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down_proj = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """Attention, then the SwiGLU, each on a normed copy and added to the stream."""

    def __init__(self, shape: ModelShape):
        super().__init__()
        self.input_layernorm = RMSNorm(shape.width, shape.norm_epsilon)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = RMSNorm(shape.width, shape.norm_epsilon)
        self.mlp = MLP(shape)

    def forward(
        self, x_BTD: Tensor, rotation: tuple, mask: "AttentionMask", cache: Cache | None, layer: int
    ) -> Tensor:
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), rotation, mask, cache, layer)
        return x_BTD + self.mlp(self.post_attention_layernorm(x_BTD))


class Decoder(nn.Module):
    """Embedding, layers and the last norm."""

    def __init__(self, shape: ModelShape):
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = RMSNorm(shape.width, shape.norm_epsilon)


class Network(nn.Module):
    """Tokens to hidden states; logits and loss are asked for apart, since they are the largest
    tensors.
    """

    def __init__(self, shape: ModelShape):
        super().__init__()
        self.shape = shape
        self.model = Decoder(shape)
        if not shape.tied:
            self.lm_head = nn.Linear(shape.width, shape.vocabulary, bias=False)

    @property
    def head_VD(self) -> Tensor:
        """The output matrix: the embedding itself where they are tied."""
        return attrgetter(head_name(self.shape))(self)

    def forward(
        self, tokens_BT: Tensor, documents_BT: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        """Normed hidden states (B, T, D) of tokens (int64), or of the stream (B, T, D) that earlier
        layers left.

        documents_BT: a number for each token; neighbours with the same number are one document,
        which begins at position 0 and is seen only by itself. Without it, a row is one document.
        cache: the tokens follow those in the cache, and are added to it; documents then number
        those too.
        """
        past = cache.length if cache is not None else 0
        x_BTD = tokens_BT if tokens_BT.is_floating_point() else self.model.embed_tokens(tokens_BT)
        rotation = rotary_angles(
            self.shape, document_positions(tokens_BT, documents_BT, past), x_BTD.dtype
        )
        mask = attention_mask(tokens_BT, documents_BT, past, x_BTD.dtype)
        for number, layer in enumerate(self.model.layers):
            x_BTD = layer(x_BTD, rotation, mask, cache, number)
        if cache is not None:
            cache.length += row_length(tokens_BT, documents_BT, past)
        return self.model.norm(x_BTD)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits over the vocabulary (…, V) of normed hidden states (…, D)."""
        return F.linear(hidden, self.head_VD)


def head_name(shape: ModelShape) -> str:
    """The name of a network's output matrix among its weights."""
    return "model.embed_tokens.weight" if shape.tied else "lm_head.weight"


def document_positions(tokens_BT: Tensor, documents_BT: Tensor | None, past: int = 0) -> Tensor:
    """The place of each token in its document: (B, T), or (1, T) where a row is one document.

    documents_BT: (B, past + T).
    """
    places_S = torch.arange(
        past + row_length(tokens_BT, documents_BT, past), device=tokens_BT.device
    )
    if documents_BT is None:
        return places_S[None, past:]
    return (
        places_S - torch.where(document_starts(documents_BT), places_S, 0).cummax(dim=1).values
    )[:, past:]


def row_length(tokens_BT: Tensor, documents_BT: Tensor | None, past: int) -> int:
    """How many tokens rows have: documents number all, where a stream may be one process's share of
    them.
    """
    return tokens_BT.shape[1] if documents_BT is None else documents_BT.shape[1] - past


def document_starts(documents_BT: Tensor) -> Tensor:
    """Whether a document begins here; bool (B, T)."""
    begins = torch.ones_like(documents_BT, dtype=torch.bool)
    begins[:, 1:] = documents_BT[:, 1:] != documents_BT[:, :-1]
    return begins


@dataclass(frozen=True)
class CuSeqlens:
    """Where the documents lie in rows laid end to end, for the kernel that takes them so.

    starts: int32, where each begins, then the number of all places as often as it takes; longest:
    of a document.
    """

    starts: Tensor
    longest: int


AttentionMask = Tensor | CuSeqlens | None
"""What a token may see: a bias on the scores, the documents' places, or (None) all there is."""


def attention_mask(
    tokens_BT: Tensor, documents_BT: Tensor | None, past: int, dtype: torch.dtype
) -> AttentionMask:
    """Documents as places where a GPU's kernel takes them, else as a bias."""
    is_taken = (
        tokens_BT.device.type == "cuda" and dtype in (torch.bfloat16, torch.float16) and not past
    )
    if documents_BT is not None and is_taken:
        return cu_seqlens(documents_BT)
    return attention_bias(tokens_BT, documents_BT, past, dtype)


def cu_seqlens(documents_BT: Tensor) -> CuSeqlens:
    """The places of all documents of some rows."""
    starts = document_starts(documents_BT).flatten().nonzero()[:, 0]
    ends = SPANS_MULTIPLE - len(starts) % SPANS_MULTIPLE
    return CuSeqlens(
        F.pad(starts, (0, ends), value=documents_BT.numel()).int(), documents_BT.shape[1]
    )


def attention_bias(
    tokens_BT: Tensor, documents_BT: Tensor | None, past: int, dtype: torch.dtype
) -> Tensor | None:
    """Added to the scores: 0 where a token may look, -∞ elsewhere; (B, 1, T, past + T), or None
    where all may be seen.

    A token sees itself and what went before it, within its document.
    """
    tokens = row_length(tokens_BT, documents_BT, past)
    if tokens == 1:
        return None
    may = torch.ones(1, 1, tokens, past + tokens, dtype=torch.bool, device=tokens_BT.device).tril(
        past
    )
    if documents_BT is not None:
        may = may & (documents_BT[:, None, past:, None] == documents_BT[:, None, None, :])
    return torch.zeros(may.shape, dtype=dtype, device=may.device).masked_fill_(~may, -torch.inf)


class _Scores(torch.autograd.Function):
    """q kᵀ, with the gradient of k laid out as k is: what comes after it costs a third of attention
    less.
    """

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor) -> Tensor:
        ctx.save_for_backward(q, k)
        return q @ k.transpose(-2, -1)

    @staticmethod
    def backward(ctx, grad: Tensor):
        q, k = ctx.saved_tensors
        return grad @ k, grad.transpose(-2, -1) @ q


def attention(q_BHTS: Tensor, k_BKTS: Tensor, v_BKTS: Tensor, mask: AttentionMask) -> Tensor:
    """Softmax attention; query heads H are K groups, each with one key-value head.

    On a GPU the documents of a batch go through one kernel, and none pays for what it does not see.
    On a CPU, plain products are 3.7 times as fast as PyTorch's fused kernel while the scores of a
    row fit into cache (measured forward and backward, rows of 128, bfloat16).
    """
    rows, heads, tokens, size = q_BHTS.shape
    groups, seen = k_BKTS.shape[1:3]
    if isinstance(mask, CuSeqlens):
        from torch.nn.attention.varlen import (
            varlen_attn,
        )  # brings torch's compiler along, which takes its time

        q, k, v = (
            x.transpose(1, 2).reshape(-1, x.shape[1], size) for x in (q_BHTS, k_BKTS, v_BKTS)
        )
        one, most = mask.starts, mask.longest
        y = varlen_attn(
            q, k, v, one, one, most, most, window_size=(-1, 0), enable_gqa=heads > groups
        )
        return y.view(rows, tokens, heads, size).transpose(1, 2)
    if q_BHTS.device.type != "cpu" or seen > PLAIN_ATTENTION_TOKENS:
        return F.scaled_dot_product_attention(
            q_BHTS, k_BKTS, v_BKTS, mask, enable_gqa=heads > groups
        )
    q = (q_BHTS * size**-0.5).reshape(rows, groups, -1, size)
    scores = _Scores.apply(q, k_BKTS).view(rows, heads, tokens, seen)
    if mask is not None:
        scores = scores + mask
    return (scores.softmax(dim=-1).view(rows, groups, -1, seen) @ v_BKTS).view(q_BHTS.shape)


def rotary_angles(
    shape: ModelShape, positions_BT: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Cosines and sines (B, 1, T, S/2) of the rotary positions (arXiv:2104.09864)."""
    exponents = (
        torch.arange(0, shape.head_size, 2, device=positions_BT.device, dtype=torch.float32)
        / shape.head_size
    )
    angles = positions_BT[:, None, :, None].float() / shape.rope_theta**exponents
    return angles.cos().to(dtype), angles.sin().to(dtype)


def apply_rotary(x_BHTS: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair (i, i + S/2) by its angle: the half-rotation layout of transformers."""
    cos, sin = rotation
    a, b = x_BHTS.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def initial_rows(seed: int, name: str, size: torch.Size, rows: slice) -> Tensor:
    """Some rows of a weight of this size as a seed and its name give it (float32); all other rows
    need not be drawn.

    Embedding: normal, deviation 0.02. Matrices: normal, deviation 1/√(inputs); those that write to
    the stream begin at zero, so that each layer begins as identity, and so does an output matrix of
    its own: the first loss is log V, or hardly more where the embedding is the head too.
    """
    wanted = (rows.stop - rows.start, *size[1:])
    if len(size) == 1:
        return torch.ones(wanted)
    if name.endswith(("o_proj.weight", "down_proj.weight", "lm_head.weight")):
        return torch.zeros(wanted)
    deviation = 0.02 if name.endswith("embed_tokens.weight") else size[1] ** -0.5
    first, last = rows.start // DRAWN_ROWS, math.ceil(rows.stop / DRAWN_ROWS)
    drawn = torch.empty(last - first, DRAWN_ROWS, size[1])
    for number, block in enumerate(drawn, first):
        own_seed = int(digest_value([seed, name, number])[:16], 16)
        block.normal_(0.0, deviation, generator=torch.Generator().manual_seed(own_seed))
    return drawn.flatten(0, 1)[rows.start - first * DRAWN_ROWS :][: wanted[0]]


ChunkLoss = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""From hidden states (N, D), head (V, D) and targets (N): their summed loss, and its gradient by
the logits (N, V).

What stands in the rows of ignored targets does not count.
"""


def chunk_loss(hidden: Tensor, head_VD: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """A `ChunkLoss`: the cross-entropies of targets that are not `IGNORED`.

    The softmax reckons in float32 and is kept as the hidden states are, which are rounded no less:
    a quarter of the time less than keeping it in float32 (LOG.md). A target cannot cost more than
    87 nats.
    """
    place = torch.arange(len(targets), device=targets.device), targets.clamp(min=0)
    p = F.linear(hidden, head_VD).softmax(dim=-1)
    p_target = p[place]
    nats = -p_target.float().clamp(min=torch.finfo(torch.float32).tiny).log()
    p[place] = p_target - 1  # `scatter_add_` takes as long on a CPU as a product
    return (nats * (targets != IGNORED)).sum(), p


class _Chunked(torch.autograd.Function):
    """Sum of a loss over chunks of tokens, with the gradients made chunk by chunk in the forward
    pass.

    The logits of one chunk exist at a time, and none is kept: memory does not grow with N × V.
    """

    @staticmethod
    def forward(
        ctx, hidden_ND: Tensor, head_VD: Tensor, targets_N: Tensor, chunk_tokens: int, loss_of
    ) -> Tensor:
        total = torch.zeros((), dtype=torch.float32, device=hidden_ND.device)
        counted_N1 = (targets_N != IGNORED)[:, None]
        counted_ND = hidden_ND * counted_N1
        grad_hidden = torch.empty_like(hidden_ND)
        grad_head = torch.zeros(head_VD.shape, dtype=torch.float32, device=head_VD.device)
        chunks = (x.split(chunk_tokens) for x in (hidden_ND, counted_ND, targets_N, grad_hidden))
        for hidden, counted, targets, into in zip(*chunks, strict=True):
            loss, grad_logits = loss_of(hidden, head_VD, targets)
            total += loss
            torch.mm(grad_logits, head_VD, out=into)
            grad_head += grad_logits.T @ counted
        ctx.save_for_backward(grad_hidden.mul_(counted_N1), grad_head.to(head_VD.dtype))
        return total

    @staticmethod
    def backward(ctx, grad: Tensor):
        grad_hidden, grad_head = ctx.saved_tensors
        return (
            grad_hidden * grad.to(grad_hidden.dtype),
            grad_head * grad.to(grad_head.dtype),
            None,
            None,
            None,
        )


def summed_loss(
    network: Network, hidden_BTD: Tensor, targets_BT: Tensor, chunk_tokens: int | None = None
) -> Tensor:
    """Sum in nats (float32) of the cross-entropies of all targets that are not `IGNORED`."""
    return chunked_loss(hidden_BTD, network.head_VD, targets_BT, chunk_loss, chunk_tokens)


def chunked_loss(
    hidden_BTD: Tensor,
    head_VD: Tensor,
    targets_BT: Tensor,
    loss_of: ChunkLoss,
    chunk_tokens: int | None = None,
) -> Tensor:
    """Sum (float32) of a loss over all tokens, so many at a time; as many as suit the device unless
    said.
    """
    hidden_ND = hidden_BTD.reshape(-1, hidden_BTD.shape[-1])
    chunk_tokens = chunk_tokens or LOSS_CHUNK_TOKENS[hidden_ND.device.type]
    return _Chunked.apply(hidden_ND, head_VD, targets_BT.reshape(-1), chunk_tokens, loss_of)
