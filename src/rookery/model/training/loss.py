"""The loss: cross-entropy summed over tokens, without ever holding all logits at once.

The logits (N, V) are by far the largest tensor of a training step. They are computed for one chunk
of tokens at a time, together with their gradient, and then dropped. Where the vocabulary is spread
over processes, `parallel/vocabulary.py` gives `chunked_loss` its own `ChunkLoss`.

Letters in names: B rows, T tokens of a row, N = B × T tokens, D width, V vocabulary.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from rookery.model.network import Network

IGNORED = -100  # the target of a token that is not counted in the loss
# tokens of a chunk by device; smaller chunks add to the gradient of the output matrix more often
LOSS_CHUNK_TOKENS = {"cpu": 2048, "cuda": 8192}

ChunkLoss = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""From hidden states (N, D), output matrix (V, D) and targets (N): their summed loss, and its
gradient with respect to the logits (N, V).

The rows of ignored targets may hold any gradient: it is not used.
"""


def summed_loss(
    network: Network, hidden_BTD: Tensor, targets_BT: Tensor, chunk_tokens: int | None = None
) -> Tensor:
    """Return the cross-entropy in nats (float32), summed over targets that are not `IGNORED`."""
    return chunked_loss(hidden_BTD, network.head_VD, targets_BT, chunk_loss, chunk_tokens)


def chunked_loss(
    hidden_BTD: Tensor,
    head_VD: Tensor,
    targets_BT: Tensor,
    loss_of: ChunkLoss,
    chunk_tokens: int | None = None,
) -> Tensor:
    """Return a loss (float32) summed over all tokens, computed chunk by chunk.

    chunk_tokens: tokens of a chunk; None takes the device's number of `LOSS_CHUNK_TOKENS`.
    """
    hidden_ND = hidden_BTD.reshape(-1, hidden_BTD.shape[-1])
    chunk_tokens = chunk_tokens or LOSS_CHUNK_TOKENS[hidden_ND.device.type]
    return _Chunked.apply(hidden_ND, head_VD, targets_BT.reshape(-1), chunk_tokens, loss_of)


def chunk_loss(hidden: Tensor, head_VD: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the summed cross-entropy of one chunk and its gradient: a `ChunkLoss`.

    The softmax computes in float32 and is stored in the dtype of the hidden states, which are
    rounded no less: it takes a quarter less time than storing it in float32 (LOG.md). One target
    costs at most 87 nats (log of the smallest normal float32).
    """
    place = torch.arange(len(targets), device=targets.device), targets.clamp(min=0)
    p = F.linear(hidden, head_VD).softmax(dim=-1)
    p_target = p[place]
    nats = -p_target.float().clamp(min=torch.finfo(torch.float32).tiny).log()
    # the gradient of cross-entropy: softmax less one at the target. `scatter_add_` would take as
    # long on a CPU as a matmul
    p[place] = p_target - 1
    return (nats * (targets != IGNORED)).sum(), p


class _Chunked(torch.autograd.Function):
    """The sum of a `ChunkLoss` over chunks of tokens; the forward pass computes the gradients too.

    The logits of only one chunk exist at a time, so memory does not grow with N × V.
    """

    @staticmethod
    def forward(
        ctx,
        hidden_ND: Tensor,
        head_VD: Tensor,
        targets_N: Tensor,
        chunk_tokens: int,
        loss_of: ChunkLoss,
    ) -> Tensor:
        total = torch.zeros((), dtype=torch.float32, device=hidden_ND.device)
        counted_N1 = (targets_N != IGNORED)[:, None]
        counted_ND = hidden_ND * counted_N1
        grad_hidden = torch.empty_like(hidden_ND)
        learns_head = ctx.needs_input_grad[1]
        grad_head = torch.zeros(
            head_VD.shape if learns_head else 0, dtype=torch.float32, device=head_VD.device
        )
        chunks = (x.split(chunk_tokens) for x in (hidden_ND, counted_ND, targets_N, grad_hidden))
        for hidden, counted, targets, into in zip(*chunks, strict=True):
            loss, grad_logits = loss_of(hidden, head_VD, targets)
            total += loss
            torch.mm(grad_logits, head_VD, out=into)
            if learns_head:
                grad_head += grad_logits.T @ counted
        ctx.save_for_backward(grad_hidden.mul_(counted_N1), grad_head.to(head_VD.dtype))
        return total

    @staticmethod
    def backward(ctx, grad: Tensor):
        grad_hidden, grad_head = ctx.saved_tensors
        grad_hidden = grad_hidden * grad.to(grad_hidden.dtype)
        learned = grad_head * grad.to(grad_head.dtype) if ctx.needs_input_grad[1] else None
        return grad_hidden, learned, None, None, None
