"""Does it pay to let torch.compile make code of a run's layers, and is that code right?

Not here: how it is made (`Placed.compile`).
"""

import torch
from torch import Tensor

from rookery.model.batches import Rows
from rookery.model.config import PETA, TrainConfig
from rookery.model.network import COMPILER, Layer, positions_of, rotations, sight_of
from rookery.model.parallel.processes import Processes
from rookery.model.shape import training_flops_per_token

PAYS_FROM_PETAFLOP = (
    0.1  # some six minutes of two cores; making code takes up to 40 s and saves about a quarter (LOG.md)
)
LARGEST_DIFFERENCE = 0.1  # of the length of a gradient; rounding makes one in a hundred


def pays(config: TrainConfig, processes: Processes) -> bool:
    """Whether a run on one CPU is long enough, by its floating-point operations: alike each time it goes on."""
    is_long = config.tokens * training_flops_per_token(config.shape) >= PAYS_FROM_PETAFLOP * PETA
    return is_long and processes.count == 1 and processes.device.type == "cpu"


def fault(config: TrainConfig, rows: Rows, precision: torch.dtype) -> str | None:
    """Why layers of this shape cannot be compiled on this CPU, or None if compiled code reckons as plain code does.

    There may be no compiler, and one that is there may make wrong code (`COMPILER` knows of such a one): so one layer
    is run both ways, forward and backward, on a micro-batch like those of the run.
    """
    generator = torch.Generator().manual_seed(0)
    layer = Layer(config.shape)
    for weight in layer.parameters():
        if weight.dim() == 2:
            weight.data.normal_(0.0, weight.shape[1] ** -0.5, generator=generator)
    layer.to(precision)
    tokens, documents = torch.from_numpy(rows.inputs), torch.from_numpy(rows.documents)
    x = torch.randn(*tokens.shape, config.shape.width, generator=generator).to(precision).requires_grad_()
    weighing = torch.randn(x.shape, generator=generator).to(precision)
    rotation = rotations(config.shape, positions_of(tokens, documents), precision)
    sight = sight_of(tokens, documents, 0, precision)

    def outcome() -> list[Tensor]:
        y = layer(x, rotation, sight, None, 0)
        return [y.detach(), *torch.autograd.grad(y, [x, *layer.parameters()], weighing)]

    plain = outcome()
    try:
        layer.compile(options=COMPILER)
        compiled = outcome()
    except Exception as error:  # torch's compilers have no error in common
        lines = str(error).removeprefix("backend='inductor' raised:").strip().splitlines() or [type(error).__name__]
        return next((line for line in lines if "error:" in line), lines[0])
    alike = all(_alike(*pair) for pair in zip(plain, compiled, strict=True))
    return None if alike else "compiled code does not reckon as plain code does"


def _alike(plain: Tensor, compiled: Tensor) -> bool:
    difference = (plain.float() - compiled.float()).norm()
    return bool(difference <= LARGEST_DIFFERENCE * plain.float().norm())  # not so for what is no number
