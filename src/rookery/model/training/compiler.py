"""Code that torch.compile makes of a run's layers: does it pay, is it right, and what does it keep?

Not here: which layers (`PlacedNetwork.compile`).
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

# GCC 12 makes wrong code of 512 bits out of torch's transposes of bfloat16 (the gradients of keys
# were NaN), and makes code of 512 bits by itself only for processors that it does not know by name,
# such as a virtual one with AMX
OPTIONS = (
    {"cpp.march": "native -mprefer-vector-width=256"} if platform.machine() == "x86_64" else {}
)
# of what torch would keep; from any share below 1 on it looks for what can be had without products
KEPT_SHARE = 0.99
PAYS_FROM_PETAFLOP = {"cpu": 0.1, "cuda": 30.0}
"""Of one process. Six minutes of two cores: making code takes up to 50 s and saves up to a third
(LOG.md). A GPU's is a guess: some two minutes of plain layers, half of which a GPU waits for its
next product.
"""
UNUSUAL_ROWS = ((5, 3), (13, 5))  # how many, and how much shorter than a row
LARGEST_DIFFERENCE = 0.1  # of the length of a gradient; rounding makes one in a hundred


def pays(config: TrainConfig, processes: Processes) -> bool:
    """Whether a run is long enough, by its floating-point operations: alike each time it goes on.

    Not in many processes on CPUs, which share the cores that make the code.
    """
    device = processes.device.type
    flops = config.tokens * training_flops_per_token(config.shape) / processes.count
    return flops >= PAYS_FROM_PETAFLOP[device] * PETA and (device == "cuda" or processes.count == 1)


def compile_layer(layer: nn.Module) -> None:
    """Let torch make code of a layer when it is first called.

    The backward pass computes again what costs next to nothing (norms, rotations, the SwiGLU's
    product): a third less is kept for it, about what `fleet plan` reckons, in no more time
    (LOG.md).
    """
    from torch._functorch import (
        config as partitioner,
    )  # brings torch's compiler along, which takes its time

    partitioner.activation_memory_budget = KEPT_SHARE
    partitioner.unsafe_treat_script_objects_as_zero_size = (
        True  # these are groups of processes, which hold no tensors
    )
    layer.compile(options=OPTIONS)


def fault(shape: ModelShape, precision: torch.dtype, device: torch.device) -> str | None:
    """Why layers of this shape cannot be compiled here, or None if compiled code reckons as plain
    code does.

    There may be no compiler, and one that is there may make wrong code (`OPTIONS` knows of such a
    one): so one layer is run both ways, forward and backward. The rows are of numbers and lengths
    that no step has: torch makes code for one size alone of the first and for every size of the
    second, which all steps then use. Else it would depend on a step's predecessors which code it
    uses, and on the code in which order threads add up.
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
    return None if alike else "compiled code does not reckon as plain code does"


def _inputs(
    shape: ModelShape,
    rows: int,
    tokens: int,
    precision: torch.dtype,
    device: torch.device,
    generator: torch.Generator,
) -> tuple:
    """A stream of rows that hold two documents each, and what a layer is given with it."""
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
    """What a layer makes of a stream, and the gradients of the sum of squares by stream and
    weights.
    """
    y_BTD = layer(x_BTD, rotation, mask, None, 0)
    return [
        y_BTD.detach(),
        *torch.autograd.grad(y_BTD.square().sum(), [x_BTD, *layer.parameters()]),
    ]


def _alike(plain: Tensor, compiled: Tensor) -> bool:
    difference = (plain.float() - compiled.float()).norm()
    return bool(
        difference <= LARGEST_DIFFERENCE * plain.float().norm()
    )  # not so for what is no number
