"""Context parallel: each process holds a piece of every row, and sees the keys of earlier pieces.

An all_gather collects keys and values whole, as in Llama 3 (arXiv:2407.21783, section 3.3.2): it
works with the masks of packed documents, which PyTorch's ring attention refuses. Its cost is one
all_gather of two tensors of key-value heads for each layer, small with grouped queries. Pieces are
plain cuts, so the last process attends to most: fine for rows of posts; very long rows would have
to be cut in a zigzag.

Not here: attention itself (`attention.py`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributed._functional_collectives import all_gather_single_autograd

from rookery.model.data.batches import Rows
from rookery.model.network import Network
from rookery.model.parallel.processes import Processes


@dataclass
class GatheredCache:
    """A stand-in for the cache of generation: earlier tokens are in other processes.

    end: how many tokens a row has up to this process's last. length: how many come before the
    network's next call, as in `Cache`; the network raises it after each call, so that a layer that
    is computed again must go by `end`.
    """

    group: torch.distributed.ProcessGroup
    end: int
    length: int

    def advance(self, tokens: int) -> None:
        """Count the tokens that all layers have added to each row."""
        self.length += tokens

    def extend(self, layer: int, keys_BKTS: Tensor, values_BKTS: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values of all tokens up to this process's last."""
        both = torch.stack([keys_BKTS, values_BKTS])
        gathered = all_gather_single_autograd(both.contiguous(), gather_dim=3, group=self.group)
        seen = gathered[..., : self.end, :]
        return seen[0], seen[1]


def apply_context_parallel(part: Network, processes: Processes) -> None:
    """Let a network take pieces of rows: this process's tokens, and the documents of whole rows."""
    group, piece = processes.context_mesh.get_group(), processes.context_part

    def with_earlier(_: Network, inputs: tuple, named: dict) -> tuple[tuple, dict]:
        tokens = inputs[0].shape[1]
        end = (piece + 1) * tokens
        documents = named["documents_BT"][:, :end]
        return inputs, {
            "documents_BT": documents,
            "cache": GatheredCache(group, end, piece * tokens),
        }

    part.register_forward_pre_hook(with_earlier, with_kwargs=True)


def local_tensors(rows: Rows, processes: Processes) -> tuple[Tensor, Tensor, Tensor]:
    """Return this process's piece of inputs and targets, and the documents of the whole rows.

    All int64 and on its device; documents (B, T), the pieces (B, T / context).
    """
    inputs, targets, documents = (
        torch.from_numpy(array).to(processes.device)
        for array in (rows.inputs, rows.targets, rows.documents)
    )
    count, number = processes.degrees.context, processes.context_part
    return inputs.chunk(count, dim=1)[number], targets.chunk(count, dim=1)[number], documents
