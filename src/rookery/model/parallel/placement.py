"""Placement: a network spread over the processes of a run, on their device mesh.

`network.py` describes a network for one device. Here each process makes its part of it: the module
is made without memory, cut (`sharding.py`), and only then given memory for what this process holds,
filled with the very weights that one process alone begins with. A degree of 1 applies nothing.

Not here: the schedule of a pipeline (`pipeline.py`), and the loss over a spread vocabulary
(`vocabulary.py`).
"""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from rookery.model.network import Network
from rookery.model.parallel.context import apply_context_parallel
from rookery.model.parallel.pieces import gradient, local, piece
from rookery.model.parallel.processes import Processes
from rookery.model.parallel.sharding import (
    held_layers,
    recompute,
    shard,
    split_matrices,
    stage_network,
    stages_of,
)
from rookery.model.parallel.shared import SharedWeights, shared_weights
from rookery.model.shape import ModelShape
from rookery.model.training.compiler import compile_layer
from rookery.model.training.initialization import initial_rows
from rookery.model.tuning.lora import adapt


def place(shape: ModelShape, seed: int, processes: Processes, rank: int = 0) -> "PlacedNetwork":
    """Return this process's part of a network in float32, with the weights that a seed gives.

    rank: of the adapters that learn (`tuning/lora.py`); 0: all weights do. Called in every process
    of the run.
    """
    stages = processes.degrees.stages
    with torch.device("meta"):  # parameters have a shape and no memory yet
        parts = tuple(stage_network(shape, stage, stages) for stage in stages_of(processes))
        for part in parts if rank else ():
            adapt(part, rank)
    for part in parts:
        recompute(part, processes.degrees.recompute)
        _spread(part, processes)
        part.to_empty(device=processes.device)
        _fill(part, seed)
    return PlacedNetwork(parts, tuple(shared_weights(parts, processes)))


def _spread(part: Network, processes: Processes) -> None:
    degrees = processes.degrees
    # tensor parallel first: FSDP then cuts what it has left of each matrix
    if degrees.tensor > 1:
        split_matrices(part, processes.device_mesh["tensor"])
    # the processes that share rows (context) hold pieces of one copy of the weights as well
    if degrees.data * degrees.context > 1:
        # a mesh of two dimensions makes copies along the first and cuts along the second (HSDP)
        dimensions = ("replicate", "spread") if degrees.replicate > 1 else "spread"
        shard(part, processes.device_mesh[dimensions])
    if degrees.context > 1:
        apply_context_parallel(part, processes)


@torch.no_grad()
def _fill(part: Network, seed: int) -> None:
    # only the rows that lie here are drawn: the same weights on any number of processes
    for name, weight in part.named_parameters():
        rows, *others = piece(weight)
        local(weight).copy_(initial_rows(seed, name, weight.shape, rows)[:, *others])


@dataclass(frozen=True)
class PlacedNetwork:
    """A network spread over processes: the part that this process holds.

    parts: one network, or in a pipeline one for each of this process's groups of layers, without
    the other layers. shared: weights whose gradients are summed with those of other processes.
    """

    parts: tuple[Network, ...]
    shared: tuple[SharedWeights, ...] = ()

    def weights(self) -> dict[str, nn.Parameter]:
        """Return all weights held here, by their name in the whole network."""
        return {name: weight for part in self.parts for name, weight in part.named_parameters()}

    def to(self, dtype: torch.dtype) -> None:
        """Convert the weights held here to another precision."""
        for part in self.parts:
            part.to(dtype)

    def set_gradient_sync(self, now: bool) -> None:
        """Set whether the next backward pass sums over replicas, which is needed once a step."""
        for part in self.parts:
            if isinstance(part, FSDPModule):
                part.set_requires_all_reduce(now)

    def compile(self) -> None:
        """Let torch compile each layer held here."""
        for part in self.parts:
            for layer in held_layers(part):
                compile_layer(layer)

    def finish_gradients(self) -> None:
        """Complete the gradients of a step: lay each out as its weight is, and sum the shared."""
        for weight in self.weights().values():
            if isinstance(weight, DTensor) and isinstance(weight.grad, DTensor):
                if weight.grad.placements != weight.placements:
                    weight.grad = weight.grad.redistribute(placements=weight.placements)
        for shared in self.shared:
            for one in shared.weights:
                dist.all_reduce(local(gradient(one)), group=shared.group)

    def grad_norm(self) -> float:
        """Return the norm of all gradients held here; not finite if any of their numbers is not."""
        grads = [weight.grad for weight in self.weights().values() if weight.grad is not None]
        return nn.utils.get_total_norm([local(grad) for grad in grads]).item()
