"""A network in training: its weights and its optimizer, and what one step does to both.

Not here: which tokens a step sees (`data/batches.py`), how weights are spread over processes
(`parallel/placement.py`), and what happens between the steps (`train.py`).
"""

import ctypes
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from rookery.core.errors import RookeryError, UsageError
from rookery.model.config import TrainConfig, TuneConfig, with_gpu_micro_batches
from rookery.model.data.batches import Rows, Step
from rookery.model.data.order import BEGINNING
from rookery.model.parallel.context import local_tensors
from rookery.model.parallel.pipeline import Pipeline
from rookery.model.parallel.placement import PlacedNetwork, place
from rookery.model.parallel.processes import Processes, single_process
from rookery.model.parallel.vocabulary import local_loss
from rookery.model.training import compiler
from rookery.model.training.optimizer import Optimizer

POSITION = "position"
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # from glibc's malloc.h


@dataclass(frozen=True)
class Run:
    """A network in training with its optimizer: the part that this process holds.

    position: where the next step begins in the order of documents (`order.Position`), int64; saved
    with the state.
    """

    config: TrainConfig
    processes: Processes
    placed: PlacedNetwork
    optimizer: Optimizer
    pipeline: Pipeline | None
    position: Tensor

    @classmethod
    def begin(
        cls,
        config: TrainConfig,
        processes: Processes | None = None,
        precision: torch.dtype | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> "Run":
        """Return a run with the weights that the config's seed gives.

        precision: of the network; None takes the best one of this machine's device. say: prints a
        line. Raises `UsageError` if the run asks for compiled layers and they cannot be compiled.
        """
        processes = processes or single_process()
        if processes.device.type == "cpu":
            keep_freed_memory()
        else:
            config = with_gpu_micro_batches(
                config, torch.cuda.get_device_properties(processes.device).total_memory
            )
        rank = config.lora_rank if isinstance(config, TuneConfig) else 0
        placed = place(config.shape, config.seed, processes, rank)
        # before the network is rounded to its precision: the masters keep all of float32
        learning = {name: one for name, one in placed.weights().items() if one.requires_grad}
        optimizer = Optimizer(learning, config, processes)
        precision = precision or best_precision(processes.device)
        placed.to(precision)
        if _compiles(config, processes, precision, say):
            placed.compile()
        pipeline = Pipeline(placed, config, processes) if processes.degrees.pipeline > 1 else None
        return cls(config, processes, placed, optimizer, pipeline, torch.tensor(BEGINNING))

    def state(self) -> dict[str, Tensor]:
        """Return all that a later process needs to go on exactly.

        Whoever writes into these tensors must call `optimizer.give_weights` afterwards.
        """
        return self.optimizer.state() | {POSITION: self.position}

    def learn(self, step: Step, factor: float) -> float | None:
        """Take one step; return its mean loss in nats a token, or None if all of it is masked.

        factor: of the peak learning rates. If the loss or a gradient is not finite, `RookeryError`
        is raised in every process, and no weight has moved.
        """
        if not step.learned_tokens:
            return None
        own = self.pipeline.learn(step) if self.pipeline else self._learn_alone(step)
        self.placed.finish_gradients()
        # 0 × (infinite or NaN) is NaN: one all_reduce tests loss and gradients of all processes
        unsound = 0.0 * self.placed.grad_norm()
        total = self.processes.all_reduce(
            unsound + (own if self.processes.counts_its_loss else 0.0)
        )
        if not math.isfinite(total):
            raise RookeryError("the loss or a gradient is no longer a finite number")
        self.optimizer.step(factor)
        return total

    def held_out_loss(self, steps: Iterable[Step]) -> float | None:
        """Return the mean loss in nats a token of some steps, over all processes; learn nothing.

        None if every token is masked.
        """
        own, tokens = 0.0, 0
        for step in steps:
            own += (
                self.pipeline.loss(step)
                if self.pipeline
                else sum(self.loss(rows).item() for rows in step.rows)
            )
            tokens += step.learned_tokens
        total = self.processes.all_reduce(own if self.processes.counts_its_loss else 0.0)
        return total / tokens if tokens else None

    def loss(self, rows: Rows) -> Tensor:
        """Return the summed loss in nats of some rows, where no pipeline divides the network."""
        inputs, targets, documents = local_tensors(rows, self.processes)
        (network,) = self.placed.parts
        return local_loss(network, network(inputs, documents_BT=documents), targets, self.processes)

    def _learn_alone(self, step: Step) -> float:
        losses: list[Tensor] = []
        for number, rows in enumerate(step.rows, 1):
            self.placed.set_gradient_sync(number == len(step.rows))
            loss = self.loss(rows) / step.learned_tokens
            losses.append(loss.detach())
            loss.backward()
        # only now: `item` waits until the device has done all work that was given to it
        return sum(loss.item() for loss in losses)


def _compiles(
    config: TrainConfig, processes: Processes, precision: torch.dtype, say: Callable[[str], None]
) -> bool:
    """Return whether layers are compiled: if the run asks for it, or where it pays and works.

    The same in all processes. Prints why the first step takes long, and why layers stay uncompiled.
    Raises `UsageError` if the run asks for compiled layers and they cannot be compiled.
    """
    if not (compiler.pays(config, processes) if config.compiled is None else config.compiled):
        return False
    say(
        "The layers are compiled before the first step, which takes up to a minute and a half "
        "the first time."
    )
    why_not = processes.first_found(compiler.fault(config.shape, precision, processes.device))
    if why_not and config.compiled:
        raise UsageError(
            f"the layers cannot be compiled here: {why_not}", hint="Leave out --set compiled=true"
        )
    if why_not:
        say(f"They run uncompiled, which can take half as long again: {why_not}")
    return not why_not


def best_precision(device: torch.device) -> torch.dtype:
    """Return bfloat16 where the device multiplies it natively, else float32."""
    native = (
        device.type == "cuda"
        or torch.cpu._is_avx512_bf16_supported()
        or torch.cpu._is_amx_tile_supported()
    )
    return torch.bfloat16 if native else torch.float32


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, where glibc is the C library.

    Each step allocates and frees the same tensors. If their pages went back to the kernel, they
    would be cleared and mapped again each time: 190,000 page faults a step at 30M parameters, 7% of
    its processor time (LOG.md).
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)
