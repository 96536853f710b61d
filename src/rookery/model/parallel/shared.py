"""Shared weights: those whose gradients must be summed over a group of processes once a step.

FSDP sums the gradients of what it cuts. Two kinds of weights it does not know to be shared: norms,
of whose tokens or heads tensor parallel gives each process a share, and a tied embedding, which
lies at both ends of a pipeline.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch.distributed as dist
from torch import Tensor

from rookery.model.network import Network
from rookery.model.norm import RMSNorm
from rookery.model.parallel.processes import Processes


@dataclass(frozen=True)
class SharedWeights:
    """Weights whose gradients are complete only when they are summed over a group."""

    weights: tuple[Tensor, ...]
    group: dist.ProcessGroup


def shared_weights(parts: tuple[Network, ...], processes: Processes) -> Iterator[SharedWeights]:
    """Yield the weights of this process's parts that it shares with others; called in all."""
    degrees = processes.degrees
    if degrees.tensor > 1:
        norms = [norm for part in parts for norm in part.modules() if isinstance(norm, RMSNorm)]
        yield SharedWeights(tuple(norm.weight for norm in norms), processes.group("tensor"))
    if degrees.pipeline > 1 and parts[0].shape.tied:
        ends = _ends_group(processes)
        if ends is not None:
            part = parts[0] if processes.part("pipeline") == 0 else parts[-1]
            yield SharedWeights((part.model.embed_tokens.weight,), ends)


def _ends_group(processes: Processes) -> dist.ProcessGroup | None:
    """Return the group of the first and last process of this one's pipeline, None between them.

    Every process takes part in making all such groups.
    """
    ranks = processes.device_mesh.mesh.flatten(1)  # (pipeline, processes of one stage)
    pairs = [[int(first), int(last)] for first, last in zip(ranks[0], ranks[-1], strict=True)]
    group, _ = dist.new_subgroups_by_enumeration(pairs)
    return group
