"""Pieces: what one process holds of a tensor that may be spread over many.

Not here: what is spread how (`sharding.py`).
"""

from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

Slices = tuple[slice, ...]
"""Where a piece lies in the whole tensor: one slice for each dimension."""


def local(tensor: Tensor) -> Tensor:
    """Return this process's piece of a tensor; it shares the tensor's memory."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def piece(tensor: Tensor) -> Slices:
    """Return where this process's piece lies in the whole tensor."""
    if not isinstance(tensor, DTensor):
        return tuple(slice(0, size) for size in tensor.shape)
    sizes, offsets = compute_local_shape_and_global_offset(
        tensor.shape, tensor.device_mesh, tensor.placements
    )
    return tuple(slice(offset, offset + size) for offset, size in zip(offsets, sizes, strict=True))


def gradient(weight: Tensor) -> Tensor:
    """Return the gradient of a weight; raises `RuntimeError` if no backward pass gave it one."""
    if weight.grad is None:
        raise RuntimeError("a weight has no gradient")
    return weight.grad
