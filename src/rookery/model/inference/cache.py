"""The cache of keys and values: it spares a network from reading earlier tokens again.

For generation only (`generate.py`); in training, `parallel/context.py` has another that gathers the
keys and values of other processes.
"""

import torch
from torch import Tensor

from rookery.model.shape import ModelShape


class Cache:
    """The keys and values (float32) of the tokens so far, with room for one context.

    All rows have the same length. `length` is raised by the network, once after all layers.
    """

    def __init__(self, shape: ModelShape, rows: int):
        self.values = torch.zeros(
            shape.layers, 2, rows, shape.kv_heads, shape.context_tokens, shape.head_size
        )
        self.length = 0

    def extend(self, layer: int, keys_BKTS: Tensor, values_BKTS: Tensor) -> tuple[Tensor, Tensor]:
        """Add one layer's new keys and values, and return those of all tokens so far."""
        end = self.length + keys_BKTS.shape[2]
        self.values[layer, 0, :, :, self.length : end] = keys_BKTS
        self.values[layer, 1, :, :, self.length : end] = values_BKTS
        return self.values[layer, 0, :, :, :end], self.values[layer, 1, :, :, :end]
