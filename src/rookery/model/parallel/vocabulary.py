"""The loss where the vocabulary is spread: each process has the logits of its own part of it only.

Each process has the hidden states of its share of the tokens (`placement.py`), so all are gathered,
and their gradients summed and scattered. Three numbers a target cross the group as well: maximum,
sum, the target's logit.
"""

from functools import partial

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.distributed._functional_collectives import all_gather_single_autograd

from rookery.model.loss import IGNORED, chunked_loss, summed_loss
from rookery.model.network import Network
from rookery.model.parallel.processes import Processes


def _spread_chunk_loss(
    group: dist.ProcessGroup, hidden: Tensor, head_VD: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """`loss.chunk_loss` where `head_VD` has the rows of this process's part of the vocabulary.

    The loss is the same in each.
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
    """The summed loss in nats (float32) of this process's rows, over a spread vocabulary or a whole
    one.

    Beside tensor parallel it is the sum of the whole group, the same in each of its processes.
    """
    if processes.degrees.tensor == 1:
        return summed_loss(network, hidden_BTD, targets_BT)
    group = processes.group("tensor")
    hidden_BTD = all_gather_single_autograd(hidden_BTD, gather_dim=1, group=group)
    return chunked_loss(
        hidden_BTD, network.head_VD.to_local(), targets_BT, partial(_spread_chunk_loss, group)
    )
