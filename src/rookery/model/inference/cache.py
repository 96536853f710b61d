"""The cache of keys and values: it spares a network from reading earlier tokens again.

For generation only (`slots.py`); in training, `parallel/context.py` has another that gathers the
keys and values of other processes.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from rookery.model.shape import ModelShape

MOST_FILLING_TOKENS = 512
"""How many tokens a row may be filled up with when it is read beside longer ones."""


class Cache:
    """Keys and values of the tokens so far, with room for one context in each row.

    lengths: how many tokens each row holds; the network raises them once, after all layers.
    A row that is read beside longer ones is filled up behind its own tokens with what no token ever
    sees: its next ones are written over it.
    """

    def __init__(self, shape: ModelShape, rows: int, dtype: torch.dtype = torch.float32):
        places = shape.context_tokens + MOST_FILLING_TOKENS
        sizes = (shape.layers, 2, rows, shape.kv_heads, places, shape.head_size)
        # numpy's zeros take no memory until they are written to, torch's take it at once
        zeros = np.zeros(int(np.prod(sizes)) * dtype.itemsize, dtype=np.uint8)
        self._values = torch.from_numpy(zeros).view(dtype).view(sizes)
        self._rows: Tensor | None = None
        self.lengths = [0] * rows

    def select(self, rows: Sequence[int], lengths: Sequence[int]) -> "Cache":
        """Return a cache of some of the rows; it takes as many of their tokens for read.

        It shares keys and values with this one; its lengths are its own.
        """
        selected, first, end = Cache.__new__(Cache), rows[0], rows[0] + len(rows)
        is_run = list(rows) == list(range(first, end))
        selected._values = self._values[:, :, first:end] if is_run else self._values
        selected._rows = None if is_run else torch.tensor(rows)
        selected.lengths = list(lengths)
        return selected

    def copy(self, source: int, target: int, begin: int, end: int) -> None:
        """Give a row the tokens that another one holds at the places from `begin` to `end`."""
        self._values[:, :, target, :, begin:end] = self._values[:, :, source, :, begin:end]

    @cached_property
    def length(self) -> Tensor:
        """Return how many tokens each row holds, int64 (rows,)."""
        return torch.tensor(self.lengths)

    def advance(self, tokens: int) -> None:
        """Count the tokens that all layers have added to each row."""
        self.lengths = [length + tokens for length in self.lengths]
        self.__dict__.pop("length", None)
        self.__dict__.pop("_index", None)

    @cached_property
    def _index(self) -> tuple[Tensor, Tensor]:
        """Return rows (B, 1) and lengths (B, 1): where the next tokens are written."""
        rows = torch.arange(len(self.lengths)) if self._rows is None else self._rows
        return rows[:, None], self.length[:, None]

    def extend(self, layer: int, keys_BKTS: Tensor, values_BKTS: Tensor) -> tuple[Tensor, Tensor]:
        """Add one layer's new keys and values, and return those of all tokens so far."""
        stored, tokens = self._values[layer], keys_BKTS.shape[2]
        begin, end = min(self.lengths), max(self.lengths) + tokens
        if self._rows is None and begin + tokens == end:
            stored[0, :, :, begin:end] = keys_BKTS
            stored[1, :, :, begin:end] = values_BKTS
        else:
            rows_B1, lengths_B1 = self._index
            places_BT = lengths_B1 + torch.arange(tokens)
            stored[0][rows_B1, :, places_BT] = keys_BKTS.transpose(1, 2)
            stored[1][rows_B1, :, places_BT] = values_BKTS.transpose(1, 2)
        seen = stored[:, :, :, :end] if self._rows is None else stored[:, self._rows, :, :end]
        return seen[0], seen[1]
