"""Muon and AdamW in one class, against PyTorch's own of each."""

import pytest
import torch
from networks import fresh_network
from torch._subclasses.fake_tensor import FakeTensorMode

from rookery.model.config import TrainConfig
from rookery.model.degrees import Degrees
from rookery.model.network import Network
from rookery.model.parallel.processes import Processes
from rookery.model.shape import ModelShape
from rookery.model.training.optimizer import (
    ADAM_BETAS,
    ADAM_EPSILON,
    NEWTON_SCHULZ,
    Optimizer,
    each_orthogonal,
    is_matrix,
    orthogonal,
)

SHAPE = ModelShape(
    vocabulary=64,
    width=32,
    layers=1,
    heads=2,
    kv_heads=1,
    head_size=16,
    hidden=96,
    context_tokens=32,
)
CONFIG = TrainConfig(0.0, SHAPE, steps=10, batch_tokens=64)


def network(seed: int = 0, dtype: torch.dtype = torch.float32) -> Network:
    return fresh_network(SHAPE, seed).to(dtype)


def give_gradients(network: Network, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in network.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator).to(weight.dtype)


@pytest.mark.parametrize("size", [(32, 96), (96, 32), (16, 64)])
def test_an_update_is_nearly_orthogonal(size):
    matrix = torch.randn(size, generator=torch.Generator().manual_seed(0)) * 100
    singular = torch.linalg.svdvals(orthogonal(matrix[None]))
    assert 0.6 < singular.min() < singular.max() < 1.3


def test_an_update_points_where_the_gradient_does():
    matrix = torch.randn(32, 96, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    nearest = u @ v
    assert (
        torch.nn.functional.cosine_similarity(
            orthogonal(matrix[None]).flatten(), nearest.flatten(), dim=0
        )
        > 0.97
    )


@pytest.mark.parametrize("size", [(64, 64), (64, 256), (256, 64)])
@pytest.mark.parametrize("decades", [1, 3])
def test_the_iteration_in_bfloat16_comes_to_what_its_polynomial_makes_of_the_singular_values(
    size, decades
):
    generator = torch.Generator().manual_seed(0)
    u, _, v = torch.linalg.svd(
        torch.randn(size, generator=generator, dtype=torch.float64), full_matrices=False
    )
    singular = torch.logspace(0, -decades, min(size), dtype=torch.float64)
    exact = singular / singular.norm()
    a, b, c = NEWTON_SCHULZ
    for _ in range(5):
        exact = exact * (a + b * exact**2 + c * exact**4)
    made = orthogonal((u * singular @ v)[None].bfloat16())[0].double()
    expected = u * exact @ v
    assert (made - expected).norm() < 0.12 * expected.norm()


def test_matrices_of_one_size_go_through_the_iteration_together_and_each_keeps_its_name(
    monkeypatch,
):
    monkeypatch.setattr("rookery.model.training.optimizer.TOGETHER", 2 * 32 * 96)
    generator = torch.Generator().manual_seed(0)
    sizes = [(32, 96), (96, 32), (32, 96), (16, 16), (32, 96), (96, 32)]
    matrices = {str(n): torch.randn(size, generator=generator) for n, size in enumerate(sizes)}
    made = dict(each_orthogonal(matrices.items()))
    assert made.keys() == matrices.keys()
    for name, matrix in matrices.items():
        torch.testing.assert_close(made[name], orthogonal(matrix[None])[0])


def test_weights_move_as_under_pytorchs_own_optimizers():
    ours, theirs = network(), network()
    named = dict(theirs.named_parameters())
    matrices = [weight for name, weight in named.items() if is_matrix(name, weight)]
    others = [weight for name, weight in named.items() if not is_matrix(name, weight)]
    reference = [
        torch.optim.Muon(
            matrices,
            CONFIG.matrix_learning_rate,
            CONFIG.weight_decay,
            CONFIG.momentum,
            adjust_lr_fn="original",
        ),
        torch.optim.AdamW(
            others, CONFIG.vector_learning_rate, ADAM_BETAS, ADAM_EPSILON, weight_decay=0.0
        ),
    ]
    optimizer = Optimizer(dict(ours.named_parameters()), CONFIG)
    for seed in range(5):
        for each in (ours, theirs):
            give_gradients(each, seed)
        optimizer.step(1.0)
        for each in reference:
            each.step()
    for name, weight in ours.named_parameters():
        # PyTorch's iteration is in bfloat16, ours here in float32
        tolerance = 0.005 if is_matrix(name, weight) else 1e-5
        torch.testing.assert_close(weight, named[name], atol=tolerance, rtol=0.0)


def test_small_updates_are_not_lost_to_bfloat16():
    rounded, exact = network(dtype=torch.bfloat16), network()
    optimizers = (
        Optimizer(dict(rounded.named_parameters()), CONFIG),
        Optimizer(dict(exact.named_parameters()), CONFIG),
    )
    for _ in range(20):
        for each, optimizer in zip((rounded, exact), optimizers, strict=True):
            for weight in each.parameters():
                weight.grad = torch.ones_like(weight)
            optimizer.step(1e-3)
    moved = optimizers[0].masters()["model.norm.weight"] - 1
    torch.testing.assert_close(moved, exact.model.norm.weight - 1, rtol=0.01, atol=0.0)


def test_a_restored_optimizer_goes_on_exactly():
    one, two = network(dtype=torch.bfloat16), network(seed=9, dtype=torch.bfloat16)
    first = Optimizer(dict(one.named_parameters()), CONFIG)
    give_gradients(one, 1)
    first.step(1.0)
    second = Optimizer(dict(two.named_parameters()), CONFIG)
    for name, tensor in second.state().items():
        tensor.copy_(first.state()[name])
    second.give_weights()
    for each, optimizer in ((one, first), (two, second)):
        give_gradients(each, 2)
        optimizer.step(0.5)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


@pytest.mark.parametrize("offload", [True, False])
def test_an_offloaded_state_lies_in_memory_and_meets_its_weights_on_the_device(offload):
    """By shape, on a device that is not there: PyTorch's fake tensors refuse to reckon across
    two.
    """
    device = torch.device(
        "lazy", 0
    )  # of those without a driver here, one that fake tensors can be copied to
    with FakeTensorMode(), device:
        weights = dict(Network(SHAPE).named_parameters())
    optimizer = Optimizer(
        weights, CONFIG, Processes(degrees=Degrees(shard=1, offload=offload), device=device)
    )
    for weight in weights.values():
        weight.grad = torch.empty_like(weight)
    optimizer.step(1.0)
    state = {name: tensor for name, tensor in optimizer.state().items() if name != "steps"}
    assert {tensor.device for tensor in state.values()} == {
        torch.device("cpu") if offload else device
    }
    assert {weight.device for weight in weights.values()} == {device}
    assert all(weight.grad is None for weight in weights.values())
