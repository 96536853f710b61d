"""Products in eight bits: near the true ones, gradients too, and nothing of the network's names or
weights changes.
"""

import pytest
import torch
from networks import fresh_network

from rookery.model.network import Network, summed_loss
from rookery.model.shape import ModelShape
from rookery.model.training.float8 import Float8Linear, use_float8

SHAPE = ModelShape(
    vocabulary=64,
    width=32,
    layers=2,
    heads=2,
    kv_heads=1,
    head_size=16,
    hidden=64,
    context_tokens=16,
)


def relative_error(found, true):
    return float(
        (found.detach().float() - true.detach().float()).norm() / true.detach().float().norm()
    )


def test_products_and_both_gradients_come_within_the_format_s_precision():
    """e4m3 has 3 bits after the point and e5m2 two: a sixteenth and an eighth at most for one
    factor, less in a sum.
    """
    generator = torch.Generator().manual_seed(0)
    plain = torch.nn.Linear(64, 48, bias=False)
    eight = Float8Linear(64, 48, bias=False)
    eight.weight = torch.nn.Parameter(plain.weight.detach().clone())
    x, grad = torch.randn(4, 8, 64, generator=generator), torch.randn(4, 8, 48, generator=generator)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    found, true = eight(ours), plain(theirs)
    found.backward(grad)
    true.backward(grad)
    assert found.shape == true.shape
    assert relative_error(found, true) < 0.05
    assert relative_error(ours.grad, theirs.grad) < 0.1
    assert relative_error(eight.weight.grad, plain.weight.grad) < 0.1


@pytest.mark.parametrize("largest", [1e-8, 1.0, 1e8])
def test_values_of_any_size_neither_overflow_nor_vanish(largest):
    eight = Float8Linear(16, 16, bias=False)
    with torch.no_grad():
        eight.weight.copy_(torch.eye(16))
    x = torch.full((16, 16), largest)
    assert torch.allclose(eight(x), x, rtol=0.1)


def test_a_network_keeps_its_names_and_weights_and_learns():
    network = fresh_network(SHAPE, 0)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    use_float8(network)
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())
    assert list(network.state_dict()) == list(before)
    tokens = torch.arange(32).view(2, 16) % 7
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    losses = []
    for _ in range(20):
        loss = summed_loss(network, network(tokens), tokens.roll(-1, 1)) / 32
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_matrices_of_odd_sizes_stay_as_they_are():
    odd = ModelShape(
        vocabulary=64,
        width=24,
        layers=1,
        heads=2,
        kv_heads=1,
        head_size=12,
        hidden=64,
        context_tokens=16,
    )
    network = Network(odd)
    use_float8(network)
    assert not any(isinstance(part, Float8Linear) for part in network.modules())
