"""Initial weights: the numbers that a network has before its first training step.

Each weight is a function of the seed, its name and the row alone, so that every process of a run
draws only the rows that it holds, and all together hold the same network however many they are.
Who holds which rows is decided in `parallel/placement.py`.
"""

import math

import torch
from torch import Tensor

from rookery.core.digest import digest_value

# rows of a matrix that one generator draws: a process draws hardly more than the rows it holds
DRAWN_ROWS = 64
BEGIN_AT_ZERO = ("o_proj.weight", "down_proj.weight", "lm_head.weight", "lora_b")


def initial_rows(seed: int, name: str, size: torch.Size, rows: slice) -> Tensor:
    """Return some rows (float32) of the weight that has this name and size, for a seed.

    No other rows need to be drawn. Norms: one. Embedding: normal, standard deviation 0.02.
    Matrices: normal, standard deviation 1/√(inputs). Matrices that write to the residual stream
    begin at zero, so that each layer begins as the identity. An untied output matrix begins at zero
    too: the first loss is log V (hardly more where the embedding is the output matrix as well). So
    does the second matrix of an adapter (`tuning/lora.py`).
    """
    wanted = (rows.stop - rows.start, *size[1:])
    if len(size) == 1:
        return torch.ones(wanted)
    if name.endswith(BEGIN_AT_ZERO):
        return torch.zeros(wanted)
    deviation = 0.02 if name.endswith("embed_tokens.weight") else size[1] ** -0.5
    first, last = rows.start // DRAWN_ROWS, math.ceil(rows.stop / DRAWN_ROWS)
    drawn = torch.empty(last - first, DRAWN_ROWS, size[1])
    for number, block in enumerate(drawn, first):
        own_seed = int(digest_value([seed, name, number])[:16], 16)
        block.normal_(0.0, deviation, generator=torch.Generator().manual_seed(own_seed))
    return drawn.flatten(0, 1)[rows.start - first * DRAWN_ROWS :][: wanted[0]]
