"""Whole matrices from pieces, for Muon's iteration, which needs all of a matrix.

Each matrix has one owner among the processes that share a copy of the weights. One all_to_all sends
the pieces to the owners, each owner computes on its matrices, and another all_to_all returns the
pieces of the results. So the work is divided, not repeated, and a process sends twice its own
pieces, once a step (in bfloat16 4 bytes for each weight that it holds): a small part of what FSDP's
all_gather of the weights sends in one micro-batch. Each copy (`replicate`) does all of the work, so
that copies exchange nothing.

Not here: the iteration itself (`training/optimizer.py`).
"""

import math
from collections.abc import Callable, Iterable, Mapping

import torch
import torch.distributed as dist
from torch import Tensor

from rookery.model.parallel.pieces import Slices, piece
from rookery.model.parallel.processes import Processes


class MatrixOwners:
    """The owner of each matrix, and the places of all processes' pieces of it."""

    def __init__(self, matrices: Mapping[str, Tensor], processes: Processes):
        self._device = processes.device
        self._group = processes.device_mesh["spread", "tensor"]._flatten("copy").get_group()
        self._rank, count = dist.get_rank(self._group), dist.get_world_size(self._group)
        self._sizes = {name: matrix.shape for name, matrix in matrices.items()}
        self._pieces: list[dict[str, Slices]] = [{} for _ in range(count)]
        own = {name: piece(matrix) for name, matrix in matrices.items()}
        dist.all_gather_object(self._pieces, own, group=self._group)
        self._owned = divided({name: math.prod(size) for name, size in self._sizes.items()}, count)

    def whole(self, pieces: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the matrices that this process owns, from all pieces, which have one precision."""
        sent = [pieces[name].reshape(-1) for names in self._owned for name in names]
        send = [self._elements(self._rank, names) for names in self._owned]
        mine = self._owned[self._rank]
        receive = [self._elements(rank, mine) for rank in range(len(self._owned))]
        received = self._exchange(torch.cat(sent), send, receive)
        parts = iter(received.split(self._lengths(mine)))
        whole = {name: received.new_empty(self._sizes[name]) for name in mine}
        for held in self._pieces:
            for name in mine:
                target = whole[name][held[name]]
                target.copy_(next(parts).view(target.shape))
        return whole

    def pieces(self, whole: Mapping[str, Tensor], precision: torch.dtype) -> dict[str, Tensor]:
        """Return this process's pieces of all matrices, from their owners; it may own none."""
        mine = self._owned[self._rank]
        sent = [whole[name][held[name]].reshape(-1) for held in self._pieces for name in mine]
        send = [self._elements(rank, mine) for rank in range(len(self._owned))]
        receive = [self._elements(self._rank, names) for names in self._owned]
        nothing = torch.empty(0, device=self._device, dtype=precision)
        received = self._exchange(torch.cat([nothing, *sent]), send, receive)
        names = [name for names in self._owned for name in names]
        parts = received.split([self._elements(self._rank, [name]) for name in names])
        held = self._pieces[self._rank]
        return {
            name: part.view(extent(held[name])) for name, part in zip(names, parts, strict=True)
        }

    def _exchange(self, sent: Tensor, send: list[int], receive: list[int]) -> Tensor:
        received = sent.new_empty(sum(receive))
        dist.all_to_all_single(received, sent, receive, send, group=self._group)
        return received

    def _lengths(self, names: list[str]) -> list[int]:
        return [self._elements(rank, [name]) for rank in range(len(self._pieces)) for name in names]

    def _elements(self, rank: int, names: list[str]) -> int:
        return sum(math.prod(extent(self._pieces[rank][name])) for name in names)


def extent(where: Slices) -> tuple[int, ...]:
    """Return the size of a piece."""
    return tuple(side.stop - side.start for side in where)


def divided(costs: Mapping[str, int], count: int) -> list[list[str]]:
    """Return the names by owner: dealt out by falling cost, each to the one that has least."""
    owned: list[list[str]] = [[] for _ in range(count)]
    loads = [0] * count
    for name in sorted(costs, key=lambda name: (-costs[name], name)):
        least = loads.index(min(loads))
        owned[least].append(name)
        loads[least] += costs[name]
    return owned


Pairs = Iterable[tuple[str, Tensor]]


def map_whole_matrices(
    matrices: Mapping[str, Tensor], processes: Processes, make: Callable[[Pairs], Pairs]
) -> Callable[[Pairs], Pairs]:
    """Return `make`, which takes and gives whole matrices, as a function of this process's pieces.

    Both take names with tensors and give the same names with tensors of the same size. Where each
    process holds whole matrices it is `make` itself, which gets them one by one.
    """
    if processes.shard_degree * processes.degrees.context * processes.degrees.tensor == 1:
        return make
    owners = MatrixOwners(matrices, processes)

    def made(pairs: Pairs) -> Pairs:
        held = dict(pairs)
        precision = next(iter(held.values())).dtype
        return owners.pieces(dict(make(owners.whole(held).items())), precision).items()

    return made
