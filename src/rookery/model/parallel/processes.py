"""The processes of a run: who am I, who are the others, and what do we agree on?

One process has no mesh and starts nothing: every call here then returns what it was given. Many
share one device mesh with the dimensions pipeline × replicate × spread × tensor, where `spread` is
shard × context: the processes over which one copy's weights lie. Neighbours in `tensor` are
neighbours in rank, so that what talks most lies in one machine.

Not here: what is laid onto the mesh (`placement.py`), and how processes are started (`launch.py`).
"""

import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.rendezvous import rendezvous as torch_rendezvous

from rookery.core.artifact import Artifact, open_artifact
from rookery.core.errors import RookeryError, UsageError
from rookery.model.degrees import Degrees, resolve_degrees
from rookery.model.parallel.rendezvous import rendezvous

PATIENCE = timedelta(days=7)
"""How long others wait while the first makes something; one that dies is noticed at once all the
same.
"""
LETTING_GO_SECONDS = 0.2
"""gloo's threads let go of tensors a moment after the last exchange, and need the interpreter's
lock for it: one that asks while the interpreter ends aborts the process, and its launcher would
start all of a finished run again.
"""


@dataclass(frozen=True)
class ProcessRank:
    """This process among all of a run, as its launcher says: from 0, and within its machine."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen by one of them."""

    place: ProcessRank = ProcessRank()
    degrees: Degrees = field(default_factory=lambda: Degrees(shard=1))
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    mesh: DeviceMesh | None = None
    control: dist.ProcessGroup | None = None

    @property
    def count(self) -> int:
        return self.place.count

    @property
    def is_first(self) -> bool:
        """Whether this one writes artifacts, notes and the register, and speaks."""
        return self.place.rank == 0

    def part(self, dimension: str) -> int:
        """This process's place along a dimension of the mesh."""
        return self.mesh.get_local_rank(dimension) if self.mesh else 0

    def group(self, dimension: str) -> dist.ProcessGroup:
        """Those that differ from this one in a dimension only."""
        return self.mesh.get_group(dimension)

    @cached_property
    def context_mesh(self) -> DeviceMesh:
        """Those that share the tokens of the same rows."""
        sizes = (self.degrees.shard, self.degrees.context)
        return self.mesh["spread"]._unflatten(0, sizes, ("shard", "context"))["context"]

    @property
    def context_part(self) -> int:
        """Which piece of each row this process holds."""
        return self.part("spread") % self.degrees.context

    @property
    def data_part(self) -> int:
        """Which share of a step's documents this process learns from."""
        return (
            self.part("replicate") * self.degrees.shard
            + self.part("spread") // self.degrees.context
        )

    @property
    def counts_its_loss(self) -> bool:
        """Whether this process's loss is none that another counts too."""
        return self.part("tensor") == 0 and self.part("pipeline") == self.degrees.pipeline - 1

    def broadcast(self, value: Any) -> Any:
        """What the first process says, to all."""
        said = [value]
        if self.control:
            dist.broadcast_object_list(said, src=0, group=self.control)
        return said[0]

    def broadcast_mask(self, places: int, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The first process's bools, of shape (places,), to all."""
        if not self.control:
            return make()
        bits = np.packbits(make()) if self.is_first else np.zeros(-(-places // 8), dtype=np.uint8)
        dist.broadcast(torch.from_numpy(bits), src=0, group=self.control)
        return np.unpackbits(bits, count=places).astype(bool)

    def all_reduce(self, number: float) -> float:
        """The sum over all processes, the same bits for each."""
        if not self.control:
            return number
        total = torch.tensor(number, dtype=torch.float64)
        dist.all_reduce(total, group=self.control)
        return total.item()

    def first_found(self, found: str | None) -> str | None:
        """What the lowest process that found something found, or None if none did."""
        return next((each for each in self.all_gather(found) if each is not None), None)

    def all_gather(self, value: Any) -> list[Any]:
        """What every process says, by rank, to all."""
        said = [value] * self.count
        if self.control:
            dist.all_gather_object(said, value, group=self.control)
        return said

    def barrier(self) -> None:
        if self.control:
            dist.barrier(group=self.control)

    def main_process_first(self, make: Callable[[], Artifact]) -> Artifact:
        """An artifact that the first process makes (or finds) while the others wait."""
        if not self.is_first:
            return self._told_of()
        try:
            made = make()
        except BaseException:
            with suppress(RuntimeError):  # the others may be gone already
                self.broadcast(None)
            raise
        self.broadcast(made.path)
        return made

    def make_together(
        self, run: Callable[[Callable], Artifact], together: Callable, others: Callable
    ) -> Artifact:
        """An artifact that all make: the first holds its stage, and calls the others when there is
        work.

        run(make): the first process's stage; it calls `make` unless the artifact is finished.
        together(...): what `make` does; others(): the same in every other process.
        """
        if not self.is_first:
            if self.broadcast(None):
                others()
            return self._told_of()
        called = False

        def make(*arguments):
            nonlocal called
            called = self.broadcast(True)
            return together(*arguments)

        try:
            made = run(make)
        except BaseException:
            if not called:  # else the others are at work, and learn of it when this process ends
                self.broadcast(False)
                self.broadcast(None)
            raise
        if not called:
            self.broadcast(False)
        return self.main_process_first(lambda: made)

    def _told_of(self) -> Artifact:
        try:
            path = self.broadcast(None)
        # killed, or it has told why not by itself: this one tells nothing, so all may start again
        except RuntimeError:
            sys.exit("The first process of the run has ended, and so this one does.")
        if path is None:
            raise RookeryError("the first process of the run could not go on")
        return open_artifact(path)


def single_process() -> Processes:
    """One process, on this machine's GPU where there is one."""
    return Processes(device=torch.device("cuda" if torch.cuda.is_available() else "cpu"))


@contextmanager
def joined(place: ProcessRank, degrees: Degrees) -> Iterator[Processes]:
    """Join the processes that the launcher started; they find each other by its environment
    variables.

    Raises `UsageError` unless the degrees multiply to their number, and each has a GPU where there
    are any.
    """
    degrees = resolve_degrees(degrees, place.count)
    cuda = torch.cuda.is_available()
    if cuda and place.local_rank >= torch.cuda.device_count():
        raise UsageError(
            f"{place.local_rank + 1} processes or more were started on a machine with "
            f"{torch.cuda.device_count()} GPUs",
            hint="Start as many as there are GPUs, each of which sees them all; "
            "CUDA_VISIBLE_DEVICES= hides them",
        )
    device = torch.device("cuda", place.local_rank) if cuda else torch.device("cpu")
    if place.count == 1:
        yield Processes(place, degrees, device)
        return
    if cuda:
        torch.cuda.set_device(device)
    backend, of_launcher = (
        "cpu:gloo,cuda:nccl" if cuda else "gloo",
        torch_rendezvous("env://", place.rank, place.count),
    )
    store = rendezvous(next(of_launcher)[0], place.rank, place.count, secrets.token_hex(8))
    dist.init_process_group(backend, store=store, rank=place.rank, world_size=place.count)
    has_ended_well = False
    try:
        sizes = (
            degrees.pipeline,
            degrees.replicate,
            degrees.shard * degrees.context,
            degrees.tensor,
        )
        mesh = init_device_mesh(
            device.type, sizes, mesh_dim_names=("pipeline", "replicate", "spread", "tensor")
        )
        yield Processes(
            place, degrees, device, mesh, dist.new_group(backend="gloo", timeout=PATIENCE)
        )
        has_ended_well = True
    finally:
        if (
            has_ended_well or not cuda
        ):  # NCCL would wait for the others, who wait for this one, and nobody heard why
            dist.destroy_process_group()
            time.sleep(LETTING_GO_SECONDS)
