"""Small networks at hand, with the weights that a run begins with or with random ones."""

import torch

from rookery.model.network import Network
from rookery.model.parallel.placement import place
from rookery.model.parallel.processes import Processes
from rookery.model.shape import ModelShape

SHAPE = ModelShape(
    vocabulary=97,
    width=32,
    layers=2,
    heads=4,
    kv_heads=2,
    head_size=8,
    hidden=48,
    context_tokens=32,
)


def fresh_network(shape: ModelShape, seed: int) -> Network:
    """Return an untrained network in float32, as a process that is alone holds it."""
    return place(shape, seed, Processes()).parts[0]


def effective_network(shape: ModelShape, seed: int = 1) -> Network:
    """Return a network in which every matrix has an effect (a fresh one's layers do nothing)."""
    network = fresh_network(shape, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.05)
    return network


def some_tokens(rows: int, tokens: int, seed: int = 2) -> torch.Tensor:
    """Return random tokens (rows, tokens) of the vocabulary of `SHAPE`."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(SHAPE.vocabulary, (rows, tokens), generator=generator)
