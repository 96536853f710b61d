"""The cache of keys and values: what a network remembers of the tokens before, while it writes."""

import torch
from torch import Tensor

from rookery.model.shape import ModelShape


class Cache:
    """Keys and values (float32) of the tokens that went before, for generation; every row has the
    same length.

    There is room for one context.
    """

    def __init__(self, shape: ModelShape, rows: int):
        self.values = torch.zeros(
            shape.layers, 2, rows, shape.kv_heads, shape.context_tokens, shape.head_size
        )
        self.length = 0

    def extend(self, layer: int, keys_BKTS: Tensor, values_BKTS: Tensor) -> tuple[Tensor, Tensor]:
        """Add one layer's new keys and values; returns those of all tokens so far."""
        end = self.length + keys_BKTS.shape[2]
        self.values[layer, 0, :, :, self.length : end] = keys_BKTS
        self.values[layer, 1, :, :, self.length : end] = values_BKTS
        return self.values[layer, 0, :, :, :end], self.values[layer, 1, :, :, :end]
