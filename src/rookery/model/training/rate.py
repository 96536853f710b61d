"""The peak rate of this device: how fast it multiplies large matrices.

Utilisation is the arithmetic that training needs in a second (`shape.py`) divided by this measured
rate, and not by the number on a data sheet. Not here: who compares the two (`step_log.py`).
"""

import torch

from rookery.core.context import Clock, SystemClock

SIZES = {"cpu": 2048, "cuda": 8192}
TRIES = 3
# matmuls that are timed together: a GPU lowers its clock only after some tenths of a second
PRODUCTS = {"cpu": 1, "cuda": 200}


def matrix_flops_per_second(
    device: torch.device, dtype: torch.dtype, clock: Clock = SystemClock(), size: int | None = None
) -> float:
    """Return the floating-point operations a second of a square matmul.

    The best of a few tries; a first one is not counted. size: rows and columns of each matrix.
    """
    size = size or SIZES[device.type]
    a = torch.randn(size, size, device=device).to(dtype)
    seconds = [_seconds_of_product(a, PRODUCTS[device.type], clock) for _ in range(TRIES + 1)][1:]
    return 2 * size**3 / max(min(seconds), 1e-9)


def _seconds_of_product(a: torch.Tensor, products: int, clock: Clock) -> float:
    """Return the seconds of one matmul, where so many follow on each other."""
    began = clock.monotonic_seconds()
    for _ in range(products):
        torch.matmul(a, a)
    if a.device.type == "cuda":
        torch.cuda.synchronize()
    return (clock.monotonic_seconds() - began) / products
