"""The optimizer: Muon for the layers' matrices, AdamW for embedding, output matrix and norms.

It owns the weights in float32 (the masters); the network computes with a copy that may be bfloat16,
and gets a new one after each step. All updates are made on this process's piece of each weight;
only Muon's iteration needs whole matrices, which `parallel/matrices.py` collects. The state lies
where the weights do, or offloaded in the machine's memory, from where it comes to the device weight
by weight.

Not here: when a step is taken, and with which learning rate (`run.py`, `config.py`).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from rookery.model.config import TrainConfig
from rookery.model.parallel.matrices import Pairs, map_whole_matrices
from rookery.model.parallel.pieces import gradient, local
from rookery.model.parallel.processes import Processes
from rookery.model.tuning.lora import is_adapter

ADAM_BETAS = (0.9, 0.95)
ADAM_EPSILON = 1e-10
MASTER = "master."  # the prefix of the weights' names in the state
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # from Muon's author, kellerjordan.github.io/posts/muon
NEWTON_SCHULZ_STEPS = (1, 1, 1, 1, 1)  # five steps, each on the matrices themselves
# from this many columns for each row on, steps on the small square matrix take fewer operations:
# 4 C/R + 14 instead of 10 C/R + 5, times R³
WIDE, WIDE_STEPS = 1.5, (3, 2)
TOGETHER = 1 << 22  # elements of matrices of one size that go through the iteration at once


class Optimizer:
    """The optimizer of weights that are given by name; it holds all state of their updates."""

    def __init__(
        self,
        weights: Mapping[str, nn.Parameter],
        config: TrainConfig,
        processes: Processes = Processes(),
    ):
        self._config, self._weights = config, weights
        matrices = {name: weight for name, weight in weights.items() if is_matrix(name, weight)}
        self._directions = map_whole_matrices(matrices, processes, each_orthogonal)
        self._matrices = frozenset(matrices)
        self._state = {"steps": torch.zeros((), dtype=torch.int64)}
        for name, weight in weights.items():
            for kind in (MASTER, "first.") if name in matrices else (MASTER, "first.", "second."):
                self._state[kind + name] = _zeros_like(weight, processes)
            self._local(MASTER, name).copy_(local(weight.detach()))

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """Update all weights with `factor` times the peak learning rates; drop the gradients."""
        self._state["steps"] += 1
        moving = [name for name, weight in self._weights.items() if weight.grad is not None]
        momenta = ((name, self._momentum(name)) for name in moving if name in self._matrices)
        # adapters have no matrices of this kind
        for name, direction in self._directions(momenta) if self._matrices else ():
            self._muon(name, direction, factor)
            self.give_weights([name])  # while the masters are in cache
        for name in moving:
            if name not in self._matrices:
                self._adamw(name, factor)
                self.give_weights([name])
        for name in moving:
            self._weights[name].grad = None

    def masters(self) -> dict[str, Tensor]:
        """Return the weights in float32, by name."""
        return {name: self._state[MASTER + name] for name in self._weights}

    def state(self) -> dict[str, Tensor]:
        """Return all that a later optimizer needs to go on exactly.

        Whoever writes into these tensors must call `give_weights` afterwards.
        """
        return dict(self._state)

    @torch.no_grad()
    def give_weights(self, names: Iterable[str] | None = None) -> None:
        """Copy the masters, or those named, into the weights of the network."""
        for name in self._weights if names is None else names:
            local(self._weights[name]).copy_(self._local(MASTER, name))

    def _local(self, kind: str, name: str) -> Tensor:
        return local(self._state[kind + name])

    @contextmanager
    def _on_device(self, kind: str, name: str) -> Iterator[Tensor]:
        """Yield a tensor of the state on its weight's device, to be changed in place."""
        stored = self._local(kind, name)
        on_device = stored.to(local(self._weights[name]).device)
        yield on_device
        if on_device is not stored:
            stored.copy_(on_device)

    def _momentum(self, name: str) -> Tensor:
        """Return the new Nesterov momentum of a matrix, in the precision of the network."""
        weight = self._weights[name]
        grad = local(gradient(weight)).float()
        with self._on_device("first.", name) as momentum:
            momentum.lerp_(grad, 1 - self._config.momentum)
            return grad.lerp(momentum, self._config.momentum).to(weight.dtype)

    def _muon(self, name: str, direction: Tensor, factor: float) -> None:
        """Move a matrix along its orthogonal momentum (Muon), with decoupled weight decay."""
        size = self._weights[name].shape
        rate = factor * self._config.matrix_learning_rate
        tall = max(1.0, size[0] / size[1]) ** 0.5  # of rows to columns, as Muon's author scales
        with self._on_device(MASTER, name) as master:
            master.mul_(1 - rate * self._config.weight_decay).add_(direction, alpha=-rate * tall)

    def _adamw(self, name: str, factor: float) -> None:
        """Move a weight as Adam does, with bias correction (arXiv:1412.6980), without decay."""
        (beta1, beta2), steps = ADAM_BETAS, int(self._state["steps"])
        grad = local(gradient(self._weights[name])).float()
        rate = factor * self._config.vector_learning_rate / (1 - beta1**steps)
        with self._on_device("second.", name) as second:
            second.lerp_(grad.square(), 1 - beta2)
            scale = (second / (1 - beta2**steps)).sqrt_().add_(ADAM_EPSILON)
        with self._on_device("first.", name) as first, self._on_device(MASTER, name) as master:
            first.lerp_(grad, 1 - beta1)
            master.addcdiv_(first, scale, value=-rate)


def _zeros_like(weight: Tensor, processes: Processes) -> Tensor:
    """Return zeros (float32) spread as a weight is, in the machine's memory if offloaded."""
    if not processes.degrees.offload:
        return torch.zeros_like(weight, dtype=torch.float32, requires_grad=False)
    pinned = processes.device.type == "cuda"  # copied to a GPU faster
    return torch.zeros_like(
        weight, dtype=torch.float32, requires_grad=False, device="cpu", pin_memory=pinned
    )


def is_matrix(name: str, weight: Tensor) -> bool:
    """Return whether Muon updates a weight: a matrix inside a layer, but none of an adapter."""
    return weight.dim() == 2 and ".layers." in name and not is_adapter(name)


def orthogonal(matrices_NRC: Tensor) -> Tensor:
    """Return roughly the nearest matrices with orthogonal rows or columns.

    N matrices of R rows and C columns in and out, in the same precision; the singular values become
    about 0.7 to 1.2. The Newton-Schulz iteration is x ← f·x with f = a + b·s + c·s² and s = xxᵀ,
    five times. It takes s to f·s·f, so for wide matrices the steps are done on s, which is smaller,
    and x is multiplied by the product of all f (dao-lab.ai/blog/2026/gram-newton-schulz). After
    three steps s is computed anew from x: in bfloat16 it drifts.
    """
    rows, columns = matrices_NRC.shape[1:]
    tall = rows > columns
    norm_N11 = torch.linalg.vector_norm(matrices_NRC, dim=(1, 2), keepdim=True, dtype=torch.float32)
    x = (matrices_NRC.mT.contiguous() if tall else matrices_NRC) / (norm_N11 + 1e-7).to(
        matrices_NRC.dtype
    )
    is_wide = max(rows, columns) > WIDE * min(rows, columns)
    for steps in WIDE_STEPS if is_wide else NEWTON_SCHULZ_STEPS:
        square = x @ x.mT
        product = factor = _factor(square)
        for _ in range(steps - 1):
            square = factor @ square @ factor
            factor = _factor(square)
            product = factor @ product
        x = product @ x
    return x.mT if tall else x


def _factor(square_NRR: Tensor) -> Tensor:
    """Return by what one step of the iteration multiplies: a + b·s + c·s²."""
    a, b, c = NEWTON_SCHULZ
    factor = torch.baddbmm(square_NRR, square_NRR, square_NRR, beta=b, alpha=c)
    factor.diagonal(dim1=1, dim2=2).add_(a)
    return factor


def each_orthogonal(matrices: Pairs) -> Iterator[tuple[str, Tensor]]:
    """Yield each matrix made `orthogonal`, not in the order in which they come.

    Matrices of one size are computed together, up to `TOGETHER` elements: small ones alone would
    not keep a device busy.
    """
    waiting: dict[torch.Size, list[tuple[str, Tensor]]] = {}

    def made(size: torch.Size) -> Iterator[tuple[str, Tensor]]:
        names, alike = zip(*waiting.pop(size), strict=True)
        return zip(names, orthogonal(torch.stack(alike)), strict=True)

    for name, matrix in matrices:
        alike = waiting.setdefault(matrix.shape, [])
        alike.append((name, matrix))
        if (len(alike) + 1) * matrix.numel() > TOGETHER:
            yield from made(matrix.shape)
    for size in list(waiting):
        yield from made(size)
