"""Goodput: the share of time that is left for training after failures and checkpoints.

The rate of failures is that of Llama 3 405B (arXiv:2407.21783, table 5): 466 interruptions in 54
days on 16,384 GPUs. How long a step takes is in `layout.py`.
"""

import math
from dataclasses import dataclass

from rookery.fleet.planning.gpus import GPUS_PER_NODE

GPU_SECONDS_PER_INTERRUPTION = 16_384 * 54 * 86_400 / 466
CHECKPOINT_BYTES_PER_PARAMETER = 14
"""bf16 weights (2), and float32 weights with Adam's two moments (12)."""
NODE_WRITE_BYTES_PER_SECOND = 2e9
STORE_WRITE_BYTES_PER_SECOND = 200e9
"""The upper end of the 50-200 GB/s that 40 production runs reached (published by VAST Data)."""
RESTART_SECONDS = 300


@dataclass(frozen=True)
class Goodput:
    """The useful share of time, and the seconds that it follows from.

    checkpoint_seconds: to write one checkpoint. interval_seconds: between checkpoints.
    """

    between_interruptions_seconds: float
    checkpoint_seconds: float
    interval_seconds: float
    share: float


def goodput_of(parameters: float, gpus: int) -> Goodput:
    """Return the goodput of a model of this many parameters on this many GPUs.

    Checkpoints are written at Young's interval, √(2 · write · between interruptions) (Young 1974,
    first order of Daly 2006). Lost are the time to write them, half an interval of work at each
    interruption, and the restart.
    """
    between = GPU_SECONDS_PER_INTERRUPTION / gpus
    bandwidth = min(
        STORE_WRITE_BYTES_PER_SECOND, NODE_WRITE_BYTES_PER_SECOND * math.ceil(gpus / GPUS_PER_NODE)
    )
    write = CHECKPOINT_BYTES_PER_PARAMETER * parameters / bandwidth
    interval = math.sqrt(2 * write * between)
    lost = write / interval + (interval / 2 + RESTART_SECONDS) / between
    return Goodput(between, write, interval, 1 / (1 + lost))
