"""Sharding: which modules of a network a process holds, and how each is cut.

Each function changes a network that has no memory yet (`placement.place` gives the order):
pipeline stages leave modules out, tensor parallel cuts matrices, FSDP cuts what is left. How the
parts of a pipeline exchange micro-batches is in `pipeline.py`, how pieces of rows see each other in
`context.py`.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    PrepareModuleInput,
    RowwiseParallel,
    parallelize_module,
)
from torch.utils.checkpoint import checkpoint

from rookery.model.degrees import recomputed_layers, stage_layers
from rookery.model.network import Network
from rookery.model.parallel.processes import Processes
from rookery.model.shape import ModelShape


class AbsentModule(nn.Module):
    """The stand-in for a module that another process holds.

    As a layer or as the last norm it passes the residual stream on as it is.
    """

    def forward(self, x_BTD: Tensor, *_: object) -> Tensor:
        return x_BTD


def stages_of(processes: Processes) -> list[int]:
    """Return the numbers of the pipeline stages (groups of layers) that this process holds."""
    degrees = processes.degrees
    return [
        group * degrees.pipeline + processes.part("pipeline")
        for group in range(degrees.groups_per_stage)
    ]


def stage_network(shape: ModelShape, stage: int, stages: int) -> Network:
    """Return a network without the modules that other stages hold.

    The first stage has the embedding, the last one the norm and the output matrix. Where these are
    tied, the last stage has the embedding too.
    """
    network, last = Network(shape), stages - 1
    held = stage_layers(shape, stages)[stage]
    absent = [f"model.layers.{number}" for number in range(shape.layers) if number not in held]
    if stage < last:
        absent += ["model.norm"] if shape.tied else ["model.norm", "lm_head"]
    if stage > 0 and not (shape.tied and stage == last):
        absent.append("model.embed_tokens")
    for name in absent:
        network.set_submodule(name, AbsentModule())
    return network


def held_layers(part: Network) -> list[nn.Module]:
    """Return the layers of a network that this process holds."""
    return [layer for layer in part.model.layers if not isinstance(layer, AbsentModule)]


def recompute(part: Network, share: float) -> None:
    """Let the backward pass compute a share of the layers again (arXiv:1604.06174).

    Nothing is stored of the inside of such a layer.
    """
    for number in recomputed_layers(part.shape.layers, share):
        if not isinstance(layer := part.model.layers[number], AbsentModule):
            layer.forward = partial(
                checkpoint, layer.forward, use_reentrant=False, preserve_rng_state=False
            )


def split_matrices(part: Network, mesh: DeviceMesh) -> None:
    """Cut each matrix as Megatron does (arXiv:1909.08053), embedding and output by vocabulary.

    Columns of the matrices that read the residual stream, rows of those that write to it. Between
    them each process has its share of a row's tokens (arXiv:2205.05198): all_gather before and
    reduce_scatter after attention and SwiGLU send as much as two sums of the whole stream would,
    and norms and the stream itself take a share of the time and memory.
    """
    for layer in held_layers(part):
        parallelize_module(layer, mesh, _layer_plan())
    if not isinstance(part.model.embed_tokens, AbsentModule):
        embedding = RowwiseParallel(input_layouts=Replicate(), output_layouts=Shard(1))
        parallelize_module(part.model.embed_tokens, mesh, embedding)
        # a tensor whose all_gather has not ended when it enters a compiled layer would get no
        # gradient; a copy has ended
        part.model.embed_tokens.register_forward_hook(lambda module, tokens, x_BTD: x_BTD.clone())
    if not part.shape.tied and not isinstance(part.lm_head, AbsentModule):
        parallelize_module(part.lm_head, mesh, ColwiseParallel())


def _layer_plan() -> dict[str, ParallelStyle]:
    tokens = Shard(1)  # of the residual stream (B, T, D)
    plan: dict[str, ParallelStyle] = {}
    for name in ("self_attn.q", "self_attn.k", "self_attn.v", "mlp.gate", "mlp.up"):
        plan[f"{name}_proj"] = ColwiseParallel()
    for name in ("self_attn.o", "mlp.down"):
        plan[f"{name}_proj"] = RowwiseParallel(output_layouts=tokens)
    others = (None,) * 4  # inputs of attention: rotation, mask, cache and number of the layer
    plan["self_attn"] = PrepareModuleInput(
        input_layouts=(tokens, *others), desired_input_layouts=(Replicate(), *others)
    )
    plan["mlp"] = PrepareModuleInput(input_layouts=(tokens,), desired_input_layouts=(Replicate(),))
    return plan


def shard(part: Network, mesh: DeviceMesh) -> None:
    """Cut each layer, and all that is outside of layers, over the data dimensions (FSDP2).

    Gradients are summed in float32, not averaged: the loss is divided by all tokens of a step.
    """
    policy = MixedPrecisionPolicy(reduce_dtype=torch.float32)
    for module in (*held_layers(part), part):
        fully_shard(module, mesh=mesh, mp_policy=policy)
    for module in part.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
