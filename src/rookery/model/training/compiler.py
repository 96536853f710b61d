"""Compiled layers: when torch.compile pays for a run, and whether its code computes the same.

Not here: which layers are compiled (`PlacedNetwork.compile`), and what a run does when they cannot
be (`run.py`).
"""

import platform

import torch
from torch import Tensor, nn

from rookery.model.attention import (
    AttentionMask,
    attention_mask,
    document_positions,
    rotary_angles,
)
from rookery.model.config import PETA, TrainConfig
from rookery.model.network import Layer
from rookery.model.parallel.processes import Processes
from rookery.model.shape import ModelShape, training_flops_per_token

# GCC 12 makes wrong 512-bit code from torch's transposes of bfloat16 (the gradients of keys were
# NaN). Unasked it makes 512-bit code only for processors that it does not know by name, such as a
# virtual one with AMX
OPTIONS = (
    {"cpp.march": "native -mprefer-vector-width=256"} if platform.machine() == "x86_64" else {}
)
# of what torch would store for the backward pass; with any share below 1 it looks for what can be
# computed again without matmuls
KEPT_SHARE = 0.99
# compute of one process from which on compiling pays. On a CPU six minutes of two cores: compiling
# takes up to 50 s and saves up to a third (LOG.md). On a GPU a guess: some two minutes of plain
# layers, half of which a GPU waits for its next matmul
PAYS_FROM_PETAFLOP = {"cpu": 0.1, "cuda": 30.0}
UNUSUAL_ROWS = ((5, 3), (13, 5))  # numbers of rows, and how much shorter than usual these are
LARGEST_DIFFERENCE = 0.1  # relative, in the norm of a gradient; rounding causes about 0.01


def pays(config: TrainConfig, processes: Processes) -> bool:
    """Return whether a run is long enough to pay for compiling, by its floating-point operations.

    The answer is the same each time that the run goes on. Many processes on CPUs never compile:
    they share the cores on which the compiler runs.
    """
    device = processes.device.type
    flops = config.tokens * training_flops_per_token(config.shape) / processes.count
    return flops >= PAYS_FROM_PETAFLOP[device] * PETA and (device == "cuda" or processes.count == 1)


def compile_layer(layer: nn.Module) -> None:
    """Let torch compile a layer when it is first called.

    The backward pass computes again what costs next to nothing (norms, rotations, the SwiGLU's
    product): a third less is stored for it, about what `fleet plan` predicts, in no more time
    (LOG.md).
    """
    # imported here: it loads torch's compiler, which takes its time
    from torch._functorch import config as partitioner

    partitioner.activation_memory_budget = KEPT_SHARE
    # script objects here are process groups, which hold no tensors
    partitioner.unsafe_treat_script_objects_as_zero_size = True
    layer.compile(options=OPTIONS)


def fault(shape: ModelShape, precision: torch.dtype, device: torch.device) -> str | None:
    """Return why layers of this shape cannot be compiled here, or None if they can.

    There may be no compiler, or one that makes wrong code (`OPTIONS` works around such a one), so
    one layer is run both ways, forward and backward. The inputs have numbers and lengths of rows
    that no step has: for the first input torch makes code for this size alone, for the second one
    code for every size, which all steps then use. Otherwise it would depend on earlier steps which
    code a step uses, and so in which order threads add up.
    """
    generator = torch.Generator().manual_seed(0)
    layer = Layer(shape)
    for weight in layer.parameters():
        if weight.dim() == 2:
            weight.data.normal_(0.0, weight.shape[1] ** -0.5, generator=generator)
    layer.to(device, precision)
    lengths = [(rows, shape.context_tokens - less) for rows, less in UNUSUAL_ROWS]
    inputs = [_inputs(shape, *length, precision, device, generator) for length in lengths]
    plain = [_outcome(layer, *each) for each in inputs]
    try:
        compile_layer(layer)
        compiled = [_outcome(layer, *each) for each in inputs]
    except Exception as error:  # torch's compilers have no error in common
        lines = str(error).removeprefix("backend='inductor' raised:").strip().splitlines() or [
            type(error).__name__
        ]
        return next((line for line in lines if "error:" in line), lines[0])
    alike = all(
        _alike(*pair)
        for outcomes in zip(plain, compiled, strict=True)
        for pair in zip(*outcomes, strict=True)
    )
    return None if alike else "compiled code does not compute what plain code does"


def _inputs(
    shape: ModelShape,
    rows: int,
    tokens: int,
    precision: torch.dtype,
    device: torch.device,
    generator: torch.Generator,
) -> tuple:
    """Return the inputs of a layer: a random residual stream of rows with two documents each."""
    x_BTD = (
        torch.randn(rows, tokens, shape.width, generator=generator)
        .to(device, precision)
        .requires_grad_()
    )
    documents_BT = (torch.arange(tokens, device=device) // (tokens // 2)).expand(rows, -1)
    rotation = rotary_angles(shape, document_positions(documents_BT, documents_BT), precision)
    return x_BTD, rotation, attention_mask(documents_BT, documents_BT, 0, precision)


def _outcome(
    layer: Layer, x_BTD: Tensor, rotation: tuple[Tensor, Tensor], mask: AttentionMask
) -> list[Tensor]:
    """Return a layer's output, and the gradients of its sum of squares by input and weights."""
    y_BTD = layer(x_BTD, rotation, mask, None, 0)
    return [
        y_BTD.detach(),
        *torch.autograd.grad(y_BTD.square().sum(), [x_BTD, *layer.parameters()]),
    ]


def _alike(plain: Tensor, compiled: Tensor) -> bool:
    difference = (plain.float() - compiled.float()).norm()
    return bool(difference <= LARGEST_DIFFERENCE * plain.float().norm())  # False for NaN
