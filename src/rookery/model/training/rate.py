"""How fast this device multiplies: what the speed of training is held against.

Utilisation is the arithmetic that training needs a second (`shape.py`) over this measured rate of
large products, and not over the number on a data sheet.
"""

import torch

from rookery.core.context import Clock, SystemClock

SIZES = {"cpu": 2048, "cuda": 8192}
TRIES = 3
PRODUCTS = {
    "cpu": 1,
    "cuda": 200,
}  # at once: a GPU lowers its clock only after some tenths of a second


def matrix_flops_per_second(
    device: torch.device, dtype: torch.dtype, clock: Clock = SystemClock(), size: int | None = None
) -> float:
    """Floating-point operations a second of a square product, the best of a few tries after a first
    one.
    """
    size = size or SIZES[device.type]
    a = torch.randn(size, size, device=device).to(dtype)
    seconds = [_seconds_of_product(a, PRODUCTS[device.type], clock) for _ in range(TRIES + 1)][1:]
    return 2 * size**3 / max(min(seconds), 1e-9)


def _seconds_of_product(a: torch.Tensor, products: int, clock: Clock) -> float:
    """Of one, where so many follow on each other."""
    began = clock.monotonic_seconds()
    for _ in range(products):
        torch.matmul(a, a)
    if a.device.type == "cuda":
        torch.cuda.synchronize()
    return (clock.monotonic_seconds() - began) / products
