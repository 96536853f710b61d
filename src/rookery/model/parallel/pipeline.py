"""Pipeline: processes hold the layers one after another, and micro-batches flow through them.

The schedules are PyTorch's: 1F1B (arXiv:2006.09503), or interleaved 1F1B (arXiv:2104.04473) where
a process holds several groups of layers. Every micro-batch of a step has one size
(`batches.Share.pieces`). Tied embeddings lie at both ends, and their gradients are summed once a
step (`shared.py`).

Not here: which layers a process holds (`sharding.py`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rookery.model.config import TrainConfig
from rookery.model.data.batches import Step
from rookery.model.degrees import micro_batches, rows_a_piece
from rookery.model.network import Network
from rookery.model.parallel.context import local_tensors
from rookery.model.parallel.placement import PlacedNetwork
from rookery.model.parallel.processes import Processes
from rookery.model.parallel.sharding import stages_of
from rookery.model.parallel.vocabulary import local_loss

if TYPE_CHECKING:
    from torch.distributed.pipelining import PipelineStage


class Pipeline:
    """The pipeline stages of this process, and the schedule in which micro-batches pass them."""

    def __init__(self, placed: PlacedNetwork, config: TrainConfig, processes: Processes):
        # imported here: it loads torch's compiler, for which other runs need not wait
        from torch.distributed.pipelining.schedules import Schedule1F1B, ScheduleInterleaved1F1B

        self._processes = processes
        self._learned_tokens = 1  # by which a micro-batch's summed loss is divided
        pieces = micro_batches(processes.degrees, config)
        rows = rows_a_piece(config, processes.degrees.data, pieces)
        size = (rows, config.shape.context_tokens // processes.degrees.context)
        stages = [
            _stage(part, number, size, processes)
            for part, number in zip(placed.parts, stages_of(processes), strict=True)
        ]
        self._has_first = stages[0].is_first
        self._has_last = stages[-1].is_last

        def mean_loss(hidden: Tensor, targets: Tensor) -> Tensor:
            return local_loss(placed.parts[-1], hidden, targets, processes) / self._learned_tokens

        # gradients are scaled by the loss itself, so the schedule must not scale them again
        self._schedule = (
            ScheduleInterleaved1F1B([*stages], pieces, loss_fn=mean_loss, scale_grads=False)
            if len(stages) > 1
            else Schedule1F1B(stages[0], pieces, loss_fn=mean_loss, scale_grads=False)
        )

    def learn(self, step: Step) -> float:
        """Run a step forward and backward; return its mean loss, or 0 without the last stage."""
        self._learned_tokens = step.learned_tokens
        return self._run(self._schedule.step, step)

    @torch.no_grad()
    def loss(self, step: Step) -> float:
        """Return the summed loss of a step, or 0 without the last stage; learn nothing."""
        self._learned_tokens = 1
        return self._run(self._schedule.eval, step)

    def _run(self, schedule: Callable, step: Step) -> float:
        pieces = [local_tensors(rows, self._processes) for rows in step.rows]
        inputs, targets, documents = (torch.cat(parts) for parts in zip(*pieces, strict=True))
        losses: list[Tensor] = []
        schedule(
            *([inputs] if self._has_first else []),
            target=targets if self._has_last else None,
            losses=losses if self._has_last else None,
            documents_BT=documents,
            return_outputs=False,
        )
        return sum(loss.item() for loss in losses)


def _stage(
    part: Network, number: int, size: tuple[int, int], processes: Processes
) -> "PipelineStage":
    from torch.distributed.pipelining import PipelineStage

    dtype, stages = next(part.parameters()).dtype, processes.degrees.stages
    held = (size[0], size[1] // processes.degrees.tensor, part.shape.width)
    stream = torch.empty(held, dtype=dtype, device="meta", requires_grad=True)
    tokens = torch.empty(size, dtype=torch.int64, device="meta")
    return PipelineStage(
        part,
        number,
        stages,
        processes.device,
        input_args=stream if number else tokens,
        output_args=stream,
        group=processes.group("pipeline"),
    )
