"""LoRA: small adapters that learn in the place of a layer's matrices (arXiv:2106.09685).

A matrix W (outputs, inputs) stays as it is; what is learned is a product B A of rank R beside it, A
(R, inputs) and B (outputs, R), where B begins at zero: the tuned model begins as its base. When the
checkpoint is written, W + B A is one matrix again, so that nobody who uses it learns of adapters.

The modules keep the weights' own names, so that a base is read as any network is. Not here: which
step is taken (`training/`), and what a tuning learns from (`conversations.py`).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rookery.model.layout.tensors import Stored
from rookery.model.network import Network

A, B = "lora_a", "lora_b"
WEIGHT = "weight"


class AdaptedLinear(nn.Linear):
    """A linear module whose weight is fixed, with an adapter that learns."""

    def __init__(self, linear: nn.Linear, rank: int):
        super().__init__(linear.in_features, linear.out_features, bias=False)
        self.weight.requires_grad_(False)
        self.lora_a = nn.Parameter(torch.empty(rank, linear.in_features))
        self.lora_b = nn.Parameter(torch.empty(linear.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight) + F.linear(F.linear(x, self.lora_a), self.lora_b)


class AdaptedNetwork(Network):
    """A network whose output matrix has an adapter; it is used as a matrix, not called."""

    lm_head: AdaptedLinear

    @property
    def head_VD(self) -> Tensor:
        return self.lm_head.weight + self.lm_head.lora_b @ self.lm_head.lora_a


def adapt(network: Network, rank: int) -> None:
    """Give adapters to all matrices but the embedding, and let nothing else learn.

    A model that never saw a chat learns from the output matrix alone to end its turn: no text of
    its training held the token for that. An output matrix that is the embedding stays as it is.
    """
    network.requires_grad_(False)
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Linear):
            network.set_submodule(name, AdaptedLinear(module, rank))
    if not network.shape.tied:
        network.__class__ = AdaptedNetwork


def is_adapter(name: str) -> bool:
    """Return whether a weight, given by its name, is part of an adapter."""
    return name.endswith((A, B))


def merged(base: Stored, adapters: Stored) -> Stored:
    """Return the weights of a base, each with its adapter added where it has one.

    base: float32, under the names of the network. adapters: under those of the adapted network.
    """

    def read(names: Sequence[str]) -> dict[str, Tensor]:
        found = dict(base.read(names))
        for name in names:
            pair = [name.removesuffix(WEIGHT) + part for part in (A, B)]
            if pair[0] in adapters.bytes_of:
                a, b = (adapters.read(pair)[one] for one in pair)
                found[name] = found[name] + b @ a
        return found

    return Stored(base.bytes_of, read)
