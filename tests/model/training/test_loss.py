"""The chunked loss: the plain loss and its gradients, in memory that does not grow."""

import pytest
import torch
import torch.nn.functional as F
from networks import SHAPE, effective_network, some_tokens
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rookery.model.training.loss import (
    IGNORED,
    LOSS_CHUNK_TOKENS,
    chunk_loss,
    chunked_loss,
    summed_loss,
)


@pytest.mark.parametrize("chunk_tokens", [1, 5, 64, 1000])
def test_chunked_loss_and_gradients_are_the_plain_ones(chunk_tokens):
    network = effective_network(SHAPE)
    tokens, targets = some_tokens(2, 32), some_tokens(2, 32, seed=3)
    targets[0, 5:9] = IGNORED
    weights = list(network.parameters())
    plain = F.cross_entropy(
        network.logits(network(tokens)).flatten(0, 1), targets.flatten(), reduction="sum"
    )
    chunked = summed_loss(network, network(tokens), targets, chunk_tokens)
    torch.testing.assert_close(chunked, plain)
    expected = torch.autograd.grad(plain / 60, weights)
    torch.testing.assert_close(
        torch.autograd.grad(chunked / 60, weights), expected, atol=1e-5, rtol=1e-4
    )


class Largest(TorchDispatchMode):
    """A mode that records how many numbers the largest new tensor has."""

    numbers = 0

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        made = operation(*arguments, **(named or {}))
        sizes = (leaf.numel() for leaf in tree_leaves(made) if isinstance(leaf, torch.Tensor))
        self.numbers = max(self.numbers, *sizes, 0)
        return made


@pytest.mark.parametrize("tokens", [4096, 8192])
def test_the_memory_of_the_loss_does_not_grow_with_the_tokens(tokens):
    vocabulary, width = 4096, 4
    hidden, head = (
        torch.randn(1, tokens, width, requires_grad=True),
        torch.randn(vocabulary, width, requires_grad=True),
    )
    with Largest() as largest:
        chunked_loss(hidden, head, torch.zeros(1, tokens, dtype=torch.int64), chunk_loss).backward()
    assert largest.numbers == LOSS_CHUNK_TOKENS["cpu"] * vocabulary
