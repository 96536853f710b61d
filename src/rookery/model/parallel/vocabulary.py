"""The loss where the vocabulary is spread: each process has the logits of its own tokens only.

Three numbers a target cross the group (maximum, sum, the target's logit) and the gradient of the hidden states. The
arithmetic is that of `network.summed_loss`, chunk by chunk.
"""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from rookery.model.network import IGNORED, Network, summed_loss
from rookery.model.parallel.processes import Processes


class _SpreadCrossEntropy(torch.autograd.Function):
    """Sum of the cross-entropies; `head_VD` has the rows of this process's tokens."""

    @staticmethod
    def forward(ctx, hidden_ND: Tensor, head_VD: Tensor, targets_N: Tensor, group, chunk_tokens: int) -> Tensor:
        total = torch.zeros((), dtype=torch.float32, device=hidden_ND.device)
        grad_hidden = torch.empty_like(hidden_ND)
        grad_head = torch.zeros(head_VD.shape, dtype=torch.float32, device=head_VD.device)
        first = dist.get_rank(group) * len(head_VD)
        pieces = zip(hidden_ND.split(chunk_tokens), targets_N.split(chunk_tokens), strict=True)
        for (hidden, targets), into in zip(pieces, grad_hidden.split(chunk_tokens), strict=True):
            counted = (targets != IGNORED)[:, None]
            own = (targets >= first) & (targets < first + len(head_VD))
            index = torch.where(own, targets - first, 0)[:, None]
            logits = F.linear(hidden, head_VD).float()
            largest = logits.amax(dim=-1, keepdim=True)
            dist.all_reduce(largest, dist.ReduceOp.MAX, group)
            logits -= largest
            of_target = logits.gather(1, index) * own[:, None]
            exps = logits.exp_()
            both = torch.stack([exps.sum(dim=-1, keepdim=True), of_target])
            dist.all_reduce(both, group=group)
            total += ((both[0].log() - both[1]) * counted).sum()
            grad_logits = (exps / both[0]).scatter_add_(1, index, -own[:, None].float())
            grad_logits = (grad_logits * counted).to(hidden.dtype)
            torch.mm(grad_logits, head_VD, out=into)
            grad_head += grad_logits.T @ hidden
        dist.all_reduce(grad_hidden, group=group)
        ctx.save_for_backward(grad_hidden, grad_head.to(head_VD.dtype))
        return total

    @staticmethod
    def backward(ctx, grad: Tensor):
        grad_hidden, grad_head = ctx.saved_tensors
        return grad_hidden * grad.to(grad_hidden.dtype), grad_head * grad.to(grad_head.dtype), None, None, None


def spread_loss(hidden_BTD: Tensor, head_VD: Tensor, targets_BT: Tensor, group, chunk_tokens: int = 512) -> Tensor:
    """Sum in nats (float32) of the cross-entropies of all targets that are not `IGNORED`, the same in each process."""
    hidden_ND = hidden_BTD.reshape(-1, hidden_BTD.shape[-1])
    return _SpreadCrossEntropy.apply(hidden_ND, head_VD, targets_BT.reshape(-1), group, chunk_tokens)


def own_loss(network: Network, hidden_BTD: Tensor, targets_BT: Tensor, processes: Processes) -> Tensor:
    """The summed loss of this process's tokens, over a spread vocabulary or a whole one."""
    if processes.degrees.tensor == 1:
        return summed_loss(network, hidden_BTD, targets_BT)
    return spread_loss(hidden_BTD, network.head_VD.to_local(), targets_BT, processes.group("tensor"))
