"""A network in training: its weights as they are spread, its optimizer, and what one step does to
both.

Not here: which tokens a step sees (`batches.py`), and what becomes of a run over its steps
(`train.py`).
"""

import ctypes
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from rookery.core.errors import RookeryError, UsageError
from rookery.model.config import TrainConfig, with_gpu_micro_batches
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
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


@dataclass(frozen=True)
class Run:
    """A network in training with its optimizer: this process's part of them."""

    config: TrainConfig
    processes: Processes
    placed: PlacedNetwork
    optimizer: Optimizer
    pipeline: Pipeline | None
    position: Tensor
    """Where the next step begins in the order of documents (`order.Position`), int64; kept with the
    state.
    """

    @classmethod
    def begin(
        cls,
        config: TrainConfig,
        processes: Processes | None = None,
        precision: torch.dtype | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> "Run":
        """From the seed; in the best precision of this machine's device unless one is given."""
        processes = processes or single_process()
        if processes.device.type == "cpu":
            keep_freed_memory()
        else:
            config = with_gpu_micro_batches(
                config, torch.cuda.get_device_properties(processes.device).total_memory
            )
        placed = place(config.shape, config.seed, processes)
        optimizer = Optimizer(placed.weights(), config, processes)
        precision = precision or best_precision(processes.device)
        placed.to(precision)
        if _compiles(config, processes, precision, say):
            placed.compile()
        pipeline = Pipeline(placed, config, processes) if processes.degrees.pipeline > 1 else None
        return cls(config, processes, placed, optimizer, pipeline, torch.tensor(BEGINNING))

    def state(self) -> dict[str, Tensor]:
        """All that a later process needs to go on exactly; after writing into it,
        `optimizer.give_weights`.
        """
        return self.optimizer.state() | {POSITION: self.position}

    def learn(self, step: Step, factor: float) -> float | None:
        """One step; returns the mean loss in nats a token, or None if all of it is masked.

        If the loss or a gradient is no finite number: `RookeryError` in every process, and nothing
        has moved.
        """
        if not step.learned_tokens:
            return None
        own = self.pipeline.learn(step) if self.pipeline else self._learn_alone(step)
        self.placed.finish_gradients()
        # 0 × a number that is not finite is none, so one sum asks all processes for both
        unsound = 0.0 * self.placed.grad_norm()
        total = self.processes.all_reduce(
            unsound + (own if self.processes.counts_its_loss else 0.0)
        )
        if not math.isfinite(total):
            raise RookeryError("the loss or a gradient is no longer a finite number")
        self.optimizer.step(factor)
        return total

    def held_out_loss(self, steps: Iterable[Step]) -> float | None:
        """The mean loss in nats a token of all processes' shares of some steps; None if nothing
        counts.

        Nothing is learned.
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
        """The summed loss in nats of some rows, where no pipeline divides the network."""
        inputs, targets, documents = local_tensors(rows, self.processes)
        (network,) = self.placed.parts
        return local_loss(network, network(inputs, documents_BT=documents), targets, self.processes)

    def _learn_alone(self, step: Step) -> float:
        losses = []
        for number, rows in enumerate(step.rows, 1):
            self.placed.set_gradient_sync(number == len(step.rows))
            loss = self.loss(rows) / step.learned_tokens
            losses.append(loss.detach())
            loss.backward()
        return sum(
            loss.item() for loss in losses
        )  # asked for last: whoever asks waits for the device


def _compiles(
    config: TrainConfig, processes: Processes, precision: torch.dtype, say: Callable[[str], None]
) -> bool:
    """Whether layers are compiled: those of a run that asks for it, else where it pays and code can
    be made.

    The same in all processes. Says what takes its time, and why the layers stay as they are.
    `UsageError` if a run asks for what cannot be had.
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
    """bfloat16 where the device multiplies it natively, else float32."""
    native = (
        device.type == "cuda"
        or torch.cpu._is_avx512_bf16_supported()
        or torch.cpu._is_amx_tile_supported()
    )
    return torch.bfloat16 if native else torch.float32


def keep_freed_memory() -> None:
    """Let this process keep the memory it frees, where glibc is the C library.

    Each step takes and frees the same tensors. Given back to the kernel, their pages are cleared
    and mapped anew each time: 190,000 page faults a step at 30M parameters, 7% of its processor
    time (LOG.md).
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)
