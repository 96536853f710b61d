"""The loss where the vocabulary is spread: each process computes the logits of its part of it only.

Each process has the hidden states of its share of the tokens (`sharding.py`), so an all_gather
collects them, and a reduce_scatter sums their gradients. Beside these, three numbers for each
target are reduced over the group: the maximum, the sum of exponentials and the target's logit.

Not here: the loss over a whole vocabulary (`training/loss.py`).
"""

from functools import partial

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.distributed._functional_collectives import all_gather_single_autograd

from rookery.model.network import Network
from rookery.model.parallel.pieces import local
from rookery.model.parallel.processes import Processes
from rookery.model.training.loss import IGNORED, chunked_loss, summed_loss


def _spread_chunk_loss(
    group: dist.ProcessGroup, hidden: Tensor, head_VD: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what `loss.chunk_loss` does, from this process's rows of the output matrix.

    The loss is the same in each process of the group.
    """
    first = dist.get_rank(group) * len(head_VD)
    own = (targets >= first) & (targets < first + len(head_VD))
    place = torch.arange(len(targets), device=targets.device), torch.where(own, targets - first, 0)
    logits = F.linear(hidden, head_VD).float()
    largest = logits.amax(dim=-1, keepdim=True)
    dist.all_reduce(largest, dist.ReduceOp.MAX, group)
    logits -= largest
    of_target = (logits[place] * own)[:, None]
    exps = logits.exp_()
    both = torch.stack([exps.sum(dim=-1, keepdim=True), of_target])
    dist.all_reduce(both, group=group)
    loss = ((both[0].log() - both[1])[:, 0] * (targets != IGNORED)).sum()
    grad_logits = exps / both[0]
    grad_logits[place] -= own.float()
    return loss, grad_logits.to(hidden.dtype)


def local_loss(
    network: Network, hidden_BTD: Tensor, targets_BT: Tensor, processes: Processes
) -> Tensor:
    """Return the summed loss in nats (float32) of this process's rows.

    With tensor parallel it is the sum of the whole group, the same in each of its processes.
    """
    if processes.degrees.tensor == 1:
        return summed_loss(network, hidden_BTD, targets_BT)
    group = processes.group("tensor")
    hidden_BTD = all_gather_single_autograd(hidden_BTD, gather_dim=1, group=group)
    head_VD = local(network.head_VD)
    return chunked_loss(hidden_BTD, head_VD, targets_BT, partial(_spread_chunk_loss, group))
