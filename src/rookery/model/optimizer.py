"""The optimizer: Muon for the layers' matrices, AdamW for embeddings and norms, in one class.

It owns the weights in float32 (the masters); the network works on a copy that may be bfloat16, and
gets a new one after each step. State goes out and comes back exactly (`state`, `load`).
"""

import torch
from torch import Tensor

from rookery.core.errors import DataError
from rookery.model.config import TrainConfig
from rookery.model.network import Network

ADAM_BETAS = (0.9, 0.95)
ADAM_EPSILON = 1e-10
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # from Muon's author, kellerjordan.github.io/posts/muon
NEWTON_SCHULZ_STEPS = 5


class Optimizer:
    """Updates a network from its gradients."""

    def __init__(self, network: Network, config: TrainConfig):
        self._config = config
        self._weights = dict(network.named_parameters())
        self._matrices = [name for name, weight in self._weights.items() if is_matrix(name, weight)]
        self._state = {"steps": torch.zeros((), dtype=torch.int64)}
        for name, weight in self._weights.items():
            self._state[f"master.{name}"] = weight.detach().float().clone()
            self._state[f"first.{name}"] = torch.zeros_like(weight, dtype=torch.float32)
            if name not in self._matrices:
                self._state[f"second.{name}"] = torch.zeros_like(weight, dtype=torch.float32)

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """One update with `factor` times the peak learning rates; gradients are used up."""
        self._state["steps"] += 1
        for name, weight in self._weights.items():
            if weight.grad is None:
                continue
            self._muon(name, weight, factor) if name in self._matrices else self._adamw(name, weight, factor)
            weight.copy_(self._state[f"master.{name}"])
            weight.grad = None

    def masters(self) -> dict[str, Tensor]:
        """The weights in float32, by name."""
        return {name: self._state[f"master.{name}"] for name in self._weights}

    def state(self) -> dict[str, Tensor]:
        """All that a later optimizer needs to go on exactly."""
        return dict(self._state)

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from a saved state, and give the network its weights; raises `DataError` for another network's."""
        if {n: t.shape for n, t in state.items()} != {n: t.shape for n, t in self._state.items()}:
            raise DataError("the saved state belongs to a network of another shape")
        for name, tensor in state.items():
            self._state[name].copy_(tensor)
        for name, weight in self._weights.items():
            weight.copy_(self._state[f"master.{name}"])

    def _muon(self, name: str, weight: Tensor, factor: float) -> None:
        """Momentum made orthogonal (Muon, with Nesterov's look ahead), and decoupled weight decay."""
        gradient, momentum = weight.grad.float(), self._state[f"first.{name}"]
        momentum.lerp_(gradient, 1 - self._config.momentum)
        direction = orthogonal(gradient.lerp(momentum, self._config.momentum), weight.dtype)
        rate = factor * self._config.matrix_learning_rate
        tall = max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
        master = self._state[f"master.{name}"]
        master.mul_(1 - rate * self._config.weight_decay).add_(direction, alpha=-rate * tall)

    def _adamw(self, name: str, weight: Tensor, factor: float) -> None:
        """Adam with bias correction (arXiv:1412.6980); embeddings and norms are not decayed."""
        (beta1, beta2), steps = ADAM_BETAS, int(self._state["steps"])
        gradient = weight.grad.float()
        first, second = self._state[f"first.{name}"], self._state[f"second.{name}"]
        first.lerp_(gradient, 1 - beta1)
        second.lerp_(gradient.square(), 1 - beta2)
        scale = (second / (1 - beta2**steps)).sqrt_().add_(ADAM_EPSILON)
        rate = factor * self._config.vector_learning_rate / (1 - beta1**steps)
        self._state[f"master.{name}"].addcdiv_(first, scale, value=-rate)


def is_matrix(name: str, weight: Tensor) -> bool:
    """Whether Muon updates it: the matrices inside the layers, not embedding, head or norms."""
    return weight.dim() == 2 and ".layers." in name


def orthogonal(gradient: Tensor, dtype: torch.dtype = torch.float32, steps: int = NEWTON_SCHULZ_STEPS) -> Tensor:
    """Roughly the nearest matrix with orthogonal rows or columns: singular values come to about 0.7 to 1.2.

    Newton-Schulz iteration x ← a·x + (b·xxᵀ + c·(xxᵀ)²)·x, in the given precision.
    """
    a, b, c = NEWTON_SCHULZ
    tall = gradient.shape[0] > gradient.shape[1]
    x = (gradient / (gradient.norm() + 1e-7)).to(dtype)
    x = x.T.contiguous() if tall else x
    for _ in range(steps):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).float()
