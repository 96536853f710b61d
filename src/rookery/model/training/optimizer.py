"""The optimizer: Muon for the layers' matrices, AdamW for embedding, output matrix and norms, in
one class.

It owns the weights in float32 (the masters); the network works on a copy that may be bfloat16, and
gets a new one after each step. All is done on what this process holds of each weight; only Muon's
iteration needs matrices whole, and is told how it gets them (`parallel/matrices.py`). Its state
lies where the weights do, or offloaded in the machine's memory, from where it comes to the device
weight by weight.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from rookery.model.config import TrainConfig
from rookery.model.parallel.matrices import Pairs, map_whole_matrices
from rookery.model.parallel.placement import local
from rookery.model.parallel.processes import Processes

ADAM_BETAS = (0.9, 0.95)
ADAM_EPSILON = 1e-10
MASTER = "master."  # begins the names of the weights in the state
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # from Muon's author, kellerjordan.github.io/posts/muon
NEWTON_SCHULZ_STEPS = (1, 1, 1, 1, 1)  # each on the matrices themselves
WIDE, WIDE_STEPS = (
    1.5,
    (3, 2),
)  # from so many columns a row on, fewer operations: 4 C/R + 14 for 10 C/R + 5, times R³
TOGETHER = 1 << 22  # so many numbers of matrices of one size go through the iteration at once


class Optimizer:
    """Updates weights, given by name, from their gradients."""

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
        on_gpu = processes.device.type == "cuda"
        where = {"device": "cpu", "pin_memory": on_gpu} if processes.degrees.offload else {}
        for name, weight in weights.items():
            for kind in (MASTER, "first.") if name in matrices else (MASTER, "first.", "second."):
                self._state[kind + name] = torch.zeros_like(
                    weight, dtype=torch.float32, requires_grad=False, **where
                )
            self._local(MASTER, name).copy_(local(weight.detach()))

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """One update with `factor` times the peak learning rates; gradients are used up."""
        self._state["steps"] += 1
        moving = [name for name, weight in self._weights.items() if weight.grad is not None]
        looking = ((name, self._look_ahead(name)) for name in moving if name in self._matrices)
        for name, direction in self._directions(looking):
            self._muon(name, direction, factor)
            self.give_weights([name])  # while the masters are in cache
        for name in moving:
            if name not in self._matrices:
                self._adamw(name, factor)
                self.give_weights([name])
        for name in moving:
            self._weights[name].grad = None

    def masters(self) -> dict[str, Tensor]:
        """The weights in float32, by name."""
        return {name: self._state[MASTER + name] for name in self._weights}

    def state(self) -> dict[str, Tensor]:
        """All that a later optimizer needs to go on exactly; after writing into it,
        `give_weights`.
        """
        return dict(self._state)

    @torch.no_grad()
    def give_weights(self, names: Iterable[str] | None = None) -> None:
        """Give the network its weights from the masters."""
        for name in self._weights if names is None else names:
            local(self._weights[name]).copy_(self._local(MASTER, name))

    def _local(self, kind: str, name: str) -> Tensor:
        return local(self._state[kind + name])

    @contextmanager
    def _here(self, kind: str, name: str) -> Iterator[Tensor]:
        """A part of the state beside its weight, to be changed in place."""
        kept = self._local(kind, name)
        here = kept.to(local(self._weights[name]).device)
        yield here
        if here is not kept:
            kept.copy_(here)

    def _look_ahead(self, name: str) -> Tensor:
        """Momentum, with Nesterov's look ahead; in the precision that the network works in."""
        weight = self._weights[name]
        gradient = local(weight.grad).float()
        with self._here("first.", name) as momentum:
            momentum.lerp_(gradient, 1 - self._config.momentum)
            return gradient.lerp(momentum, self._config.momentum).to(weight.dtype)

    def _muon(self, name: str, direction: Tensor, factor: float) -> None:
        """A step along the momentum made orthogonal (Muon), and decoupled weight decay."""
        size = self._weights[name].shape
        rate = factor * self._config.matrix_learning_rate
        tall = max(1.0, size[0] / size[1]) ** 0.5
        with self._here(MASTER, name) as master:
            master.mul_(1 - rate * self._config.weight_decay).add_(direction, alpha=-rate * tall)

    def _adamw(self, name: str, factor: float) -> None:
        """Adam with bias correction (arXiv:1412.6980); embedding, output matrix and norms are not
        decayed.
        """
        (beta1, beta2), steps = ADAM_BETAS, int(self._state["steps"])
        gradient = local(self._weights[name].grad).float()
        rate = factor * self._config.vector_learning_rate / (1 - beta1**steps)
        with self._here("second.", name) as second:
            second.lerp_(gradient.square(), 1 - beta2)
            scale = (second / (1 - beta2**steps)).sqrt_().add_(ADAM_EPSILON)
        with self._here("first.", name) as first, self._here(MASTER, name) as master:
            first.lerp_(gradient, 1 - beta1)
            master.addcdiv_(first, scale, value=-rate)


def is_matrix(name: str, weight: Tensor) -> bool:
    """Whether Muon updates it: the matrices inside the layers, not embedding, head or norms."""
    return weight.dim() == 2 and ".layers." in name


def orthogonal(matrices_NRC: Tensor) -> Tensor:
    """Roughly the nearest matrices with orthogonal rows or columns: singular values come to about
    0.7 to 1.2.

    N matrices of R rows and C columns in and out, all in the precision of the former. Newton-Schulz
    iteration x ← f·x with f = a + b·s + c·s² and s = xxᵀ, five times. It takes s to f·s·f, so for
    wide matrices the steps are done on s, the smaller, and x is multiplied by the product of all f
    (dao-lab.ai/blog/2026/gram-newton-schulz). After three of them s is made anew from x: in
    bfloat16 it drifts.
    """
    rows, columns = matrices_NRC.shape[1:]
    tall = rows > columns
    length_N11 = torch.linalg.vector_norm(
        matrices_NRC, dim=(1, 2), keepdim=True, dtype=torch.float32
    )
    x = (matrices_NRC.mT.contiguous() if tall else matrices_NRC) / (length_N11 + 1e-7).to(
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
    """What one step of the iteration multiplies by: a + b·s + c·s²."""
    a, b, c = NEWTON_SCHULZ
    factor = torch.baddbmm(square_NRR, square_NRR, square_NRR, beta=b, alpha=c)
    factor.diagonal(dim1=1, dim2=2).add_(a)
    return factor


def each_orthogonal(matrices: Pairs) -> Iterator[tuple[str, Tensor]]:
    """`orthogonal` of each, those of one size together up to `TOGETHER` numbers: small ones keep no
    device busy.
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
