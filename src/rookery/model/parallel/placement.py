"""Placing: a network spread over the processes' mesh.

Tensor parallel first (columns of what reads the stream, rows of what writes it; embedding and
output matrix by the vocabulary), then each layer and the rest fully sharded over the data
dimensions (FSDP2; HSDP where there are replicas). A degree of 1 applies nothing. The network is
made without memory, so that each process holds its part only, and is filled with the very weights
that one process begins with.

Not here: the schedule of a pipeline (`pipeline.py`) and the loss over a spread vocabulary
(`vocabulary.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    parallelize_module,
)
from torch.utils.checkpoint import checkpoint

from rookery.model.degrees import recomputed_layers, stage_layers
from rookery.model.initialization import initial_rows
from rookery.model.network import Network
from rookery.model.norm import RMSNorm
from rookery.model.parallel.context import apply_context_parallel
from rookery.model.parallel.processes import Processes
from rookery.model.shape import ModelShape
from rookery.model.training.compiler import compile_layer


@dataclass(frozen=True)
class SharedWeights:
    """Weights whose gradients are complete only when they are summed over a group."""

    weights: tuple[nn.Parameter, ...]
    group: dist.ProcessGroup


@dataclass(frozen=True)
class PlacedNetwork:
    """This process's part of a network.

    parts: one network, or in a pipeline one for each of its groups of layers, the other layers
    being absent.
    """

    parts: tuple[Network, ...]
    shared: tuple[SharedWeights, ...] = ()

    def weights(self) -> dict[str, nn.Parameter]:
        """All weights held here, by their name in the whole network."""
        return {name: weight for part in self.parts for name, weight in part.named_parameters()}

    def to(self, dtype: torch.dtype) -> None:
        for part in self.parts:
            part.to(dtype)

    def set_gradient_sync(self, now: bool) -> None:
        """Whether the next backward pass sums gradients over the replicas: once a step is
        enough.
        """
        for part in self.parts:
            if isinstance(part, FSDPModule):
                part.set_requires_all_reduce(now)

    def compile(self) -> None:
        """Let torch compile each layer."""
        for part in self.parts:
            for layer in _held_layers(part):
                compile_layer(layer)

    def finish_gradients(self) -> None:
        """Once a step: lay each gradient out as its weight is, and sum what is shared."""
        for weight in self.weights().values():
            if isinstance(weight.grad, DTensor) and weight.grad.placements != weight.placements:
                weight.grad = weight.grad.redistribute(placements=weight.placements)
        for shared in self.shared:
            for weight in shared.weights:
                dist.all_reduce(local(weight.grad), group=shared.group)

    def grad_norm(self) -> float:
        """The length of all gradients held here, as one vector; no finite number if any of theirs
        is none.
        """
        held = [local(weight.grad) for weight in self.weights().values() if weight.grad is not None]
        return nn.utils.get_total_norm(held).item()


class AbsentModule(nn.Module):
    """What another process holds, in its place; as a layer or the last norm it passes the stream on
    as it is.
    """

    def forward(self, x_BTD: Tensor, *_: object) -> Tensor:
        return x_BTD


def place(shape: ModelShape, seed: int, processes: Processes) -> PlacedNetwork:
    """This process's part of a network in float32 on its device, with the weights that the seed
    gives.
    """
    with torch.device("meta"):
        parts = tuple(_part(shape, stage, processes) for stage in stages_of(processes))
    for part in parts:
        _recompute(part, processes.degrees.recompute)
        _spread(part, processes)
        part.to_empty(device=processes.device)
    _fill(parts, seed)
    return PlacedNetwork(parts, tuple(_shared(parts, processes)))


def stages_of(processes: Processes) -> list[int]:
    """The numbers of the groups of layers that this process holds, in their order."""
    degrees = processes.degrees
    return [
        group * degrees.pipeline + processes.part("pipeline")
        for group in range(degrees.groups_per_stage)
    ]


def _part(shape: ModelShape, stage: int, processes: Processes) -> Network:
    """The network without what other stages hold. Where head and embedding are tied, the last has
    both too.
    """
    network, last = Network(shape), processes.degrees.stages - 1
    held = stage_layers(shape, last + 1)[stage]
    for number in range(shape.layers):
        if number not in held:
            network.model.layers[number] = AbsentModule()
    if stage < last:
        network.model.norm = AbsentModule()
        if not shape.tied:
            network.lm_head = AbsentModule()
    if stage > 0 and not (shape.tied and stage == last):
        network.model.embed_tokens = AbsentModule()
    return network


def _held_layers(part: Network) -> list[nn.Module]:
    return [layer for layer in part.model.layers if not isinstance(layer, AbsentModule)]


def _recompute(part: Network, share: float) -> None:
    """Let the backward pass compute layers again (arXiv:1604.06174) instead of keeping what is
    inside them.
    """
    for number in recomputed_layers(part.shape.layers, share):
        if not isinstance(layer := part.model.layers[number], AbsentModule):
            layer.forward = partial(
                checkpoint, layer.forward, use_reentrant=False, preserve_rng_state=False
            )


def _spread(part: Network, processes: Processes) -> None:
    degrees, mesh = processes.degrees, processes.mesh
    if degrees.tensor > 1:
        _split_matrices(part, mesh["tensor"])
    if degrees.data * degrees.context > 1:
        _shard(part, mesh["replicate", "spread"] if degrees.replicate > 1 else mesh["spread"])
    if degrees.context > 1:
        apply_context_parallel(part, processes)


def _split_matrices(part: Network, mesh: DeviceMesh) -> None:
    """Megatron's cut (arXiv:1909.08053), between which each process has its share of a row's tokens
    (arXiv:2205.05198).

    A gather before and a scattered sum after attention and SwiGLU: as much is sent as in two sums
    of the whole stream, and norms and the stream itself take a share of the time and memory.
    """
    columns, rows, share = (
        ColwiseParallel,
        partial(RowwiseParallel, output_layouts=Shard(1)),
        Shard(1),
    )
    plan = {f"self_attn.{name}_proj": columns() for name in "qkv"} | {"self_attn.o_proj": rows()}
    plan |= {"mlp.gate_proj": columns(), "mlp.up_proj": columns(), "mlp.down_proj": rows()}
    others = (None,) * 4  # of attention's inputs: rotation, sight, cache and number of the layer
    plan["self_attn"] = PrepareModuleInput(
        input_layouts=(share, *others), desired_input_layouts=(Replicate(), *others)
    )
    plan["mlp"] = PrepareModuleInput(input_layouts=(share,), desired_input_layouts=(Replicate(),))
    for layer in _held_layers(part):
        parallelize_module(layer, mesh, plan)
    if not isinstance(part.model.embed_tokens, AbsentModule):
        parallelize_module(part.model.embed_tokens, mesh, rows(input_layouts=Replicate()))
        # what is still on its way when it enters a compiled layer would get no gradient; a copy is
        # there
        part.model.embed_tokens.register_forward_hook(lambda module, tokens, x_BTD: x_BTD.clone())
    if not part.shape.tied and not isinstance(part.lm_head, AbsentModule):
        parallelize_module(part.lm_head, mesh, columns())


def _shard(part: Network, mesh: DeviceMesh) -> None:
    """Each layer a unit, and all that is outside of layers another; gradients are summed in
    float32, not averaged.
    """
    policy = MixedPrecisionPolicy(reduce_dtype=torch.float32)
    for module in (*_held_layers(part), part):
        fully_shard(module, mesh=mesh, mp_policy=policy)
    for module in part.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)


@torch.no_grad()
def _fill(parts: tuple[Network, ...], seed: int) -> None:
    """Of each weight the rows are drawn that lie here: the same weights on any number of
    processes.
    """
    for part in parts:
        for name, weight in part.named_parameters():
            rows, *others = piece(weight)
            local(weight).copy_(initial_rows(seed, name, weight.shape, rows)[:, *others])


def _shared(parts: tuple[Network, ...], processes: Processes) -> Iterator[SharedWeights]:
    """Norms, whose tokens or heads tensor parallel spreads, and the tied embedding at both ends of
    a pipeline.
    """
    degrees = processes.degrees
    if degrees.tensor > 1:
        norms = (
            norm.weight for part in parts for norm in part.modules() if isinstance(norm, RMSNorm)
        )
        yield SharedWeights(tuple(norms), processes.group("tensor"))
    if degrees.pipeline > 1 and parts[0].shape.tied:
        ends = _ends_group(processes)
        if processes.part("pipeline") in (0, degrees.pipeline - 1):
            part = parts[0] if processes.part("pipeline") == 0 else parts[-1]
            yield SharedWeights((part.model.embed_tokens.weight,), ends)


def _ends_group(processes: Processes) -> dist.ProcessGroup | None:
    """The first and the last process of this one's pipeline; every process takes part in making all
    such groups.
    """
    ranks = processes.mesh.mesh.flatten(1)
    pairs = [[int(first), int(last)] for first, last in zip(ranks[0], ranks[-1], strict=True)]
    group, _ = dist.new_subgroups_by_enumeration(pairs)
    return group


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor that may be spread; the memory is the tensor's own."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def piece(tensor: Tensor) -> tuple[slice, ...]:
    """Where what this process holds lies in the whole."""
    if not isinstance(tensor, DTensor):
        return tuple(slice(0, size) for size in tensor.shape)
    sizes, offsets = compute_local_shape_and_global_offset(
        tensor.shape, tensor.device_mesh, tensor.placements
    )
    return tuple(slice(offset, offset + size) for offset, size in zip(offsets, sizes, strict=True))
