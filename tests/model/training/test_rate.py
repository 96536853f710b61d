"""How fast a device multiplies: the best of a few products, and not the first one."""

from itertools import chain

import pytest
import torch

from rookery.core.context import FixedClock
from rookery.model.training.rate import matrix_flops_per_second


def test_the_rate_is_that_of_the_quickest_product_after_a_first_one():
    ends = chain.from_iterable(
        (10 * n, 10 * n + seconds) for n, seconds in enumerate((0.1, 0.8, 0.4, 0.5))
    )
    clock = FixedClock()
    clock.monotonic_seconds = lambda: next(ends)
    found = matrix_flops_per_second(torch.device("cpu"), torch.float32, clock, size=8)
    assert found == pytest.approx(2 * 8**3 / 0.4)
