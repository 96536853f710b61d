"""The processes of a run: which one is this, who are the others, and what do all agree on?

One process has no device mesh and no process group: every collective here then returns what it was
given. Many share one device mesh with the dimensions pipeline × replicate × spread × tensor, where
`spread` is shard × context: the processes over which one copy's weights are spread. Neighbours in
`tensor` are neighbours in rank, so that those that exchange most are on one machine.

Not here: what is placed on the mesh (`placement.py`), and how processes are started (`launch.py`).
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

# how long the others wait while the first makes something; all the same, a process that dies is
# noticed at once
PATIENCE = timedelta(days=7)
# gloo's threads let go of tensors a moment after the last exchange, and need the interpreter's lock
# for it: one that asks while the interpreter ends aborts the process, and its launcher would start
# all processes of a finished run again
LETTING_GO_SECONDS = 0.2


@dataclass(frozen=True)
class ProcessRank:
    """The rank of this process among all of a run, from 0, and within its machine."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen by one of them.

    place: this process's rank. mesh, control: None in a run of one process; control is the group
    (gloo, on CPUs) over which processes agree on anything but tensors of the network.
    """

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
        """Return whether this is the one that writes artifacts, notes and register, and prints."""
        return self.place.rank == 0

    @property
    def device_mesh(self) -> DeviceMesh:
        """Return the mesh of a run of many processes; raises `RookeryError` in a run of one."""
        if self.mesh is None:
            raise RookeryError("a run of one process has no device mesh")
        return self.mesh

    @property
    def shard_degree(self) -> int:
        """Return the degree `shard`; the processes of a run have it filled in."""
        return self.degrees.shard or 1

    def part(self, dimension: str) -> int:
        """Return this process's rank along a dimension of the mesh."""
        return self.mesh.get_local_rank(dimension) if self.mesh else 0

    def group(self, dimension: str) -> dist.ProcessGroup:
        """Return the group of those that differ from this process in one dimension only."""
        return self.device_mesh.get_group(dimension)

    @cached_property
    def context_mesh(self) -> DeviceMesh:
        """Return the mesh of those that share the tokens of the same rows."""
        sizes = (self.shard_degree, self.degrees.context)
        return self.device_mesh["spread"]._unflatten(0, sizes, ("shard", "context"))["context"]

    @property
    def context_part(self) -> int:
        """Return which piece of each row this process holds."""
        return self.part("spread") % self.degrees.context

    @property
    def data_part(self) -> int:
        """Return which share of a step's documents this process learns from."""
        return (
            self.part("replicate") * self.shard_degree + self.part("spread") // self.degrees.context
        )

    @property
    def counts_its_loss(self) -> bool:
        """Return whether this process's loss is one that no other process counts too."""
        return self.part("tensor") == 0 and self.part("pipeline") == self.degrees.pipeline - 1

    def broadcast(self, value: Any) -> Any:
        """Return the first process's value, in all processes."""
        values = [value]
        if self.control:
            dist.broadcast_object_list(values, src=0, group=self.control)
        return values[0]

    def broadcast_mask(self, own: np.ndarray | None, length: int) -> np.ndarray:
        """Return the first process's bools, of shape (length,), in all processes.

        own: the mask of the first process; None where nothing is masked. It is sent as packed bits.
        """
        mask = np.zeros(length, dtype=bool) if own is None else own
        if not self.control:
            return mask
        bits = np.packbits(mask)
        dist.broadcast(torch.from_numpy(bits), src=0, group=self.control)
        return np.unpackbits(bits, count=length).astype(bool)

    def all_reduce(self, number: float) -> float:
        """Return the sum over all processes, with the same bits in each."""
        if not self.control:
            return number
        total = torch.tensor(number, dtype=torch.float64)
        dist.all_reduce(total, group=self.control)
        return total.item()

    def all_gather(self, value: Any) -> list[Any]:
        """Return the values of all processes by rank, in all processes."""
        values = [value] * self.count
        if self.control:
            dist.all_gather_object(values, value, group=self.control)
        return values

    def first_found(self, found: str | None) -> str | None:
        """Return what the process of lowest rank found that found something, or None."""
        return next((each for each in self.all_gather(found) if each is not None), None)

    def barrier(self) -> None:
        """Wait until all processes have come here."""
        if self.control:
            dist.barrier(group=self.control)

    def main_process_first(self, make: Callable[[], Artifact]) -> Artifact:
        """Return an artifact that the first process makes (or finds) while the others wait."""
        if not self.is_first:
            return self.announced()
        try:
            made = make()
        except BaseException:
            with suppress(RuntimeError):  # the others may have ended already
                self.broadcast(None)
            raise
        return self.announce(made)

    @contextmanager
    def leading(self) -> Iterator["Followers"]:
        """Yield the other processes to the first one, which may call them within the block.

        They wait in `called` and then, called or not, in `announced`: after the block the first
        process goes on with `announce`. An error before the call is broadcast to them. Of one after
        it they learn when this process ends: they are at work, and wait for something else.
        """
        followers = Followers(self)
        try:
            yield followers
        except BaseException:
            if not followers.are_called:
                self.broadcast(False)
                self.broadcast(None)
            raise
        if not followers.are_called:
            self.broadcast(False)

    def called(self) -> bool:
        """Wait for the first process, which is `leading`; return whether it calls this one."""
        return self.broadcast(None)

    def announce(self, made: Artifact) -> Artifact:
        """Let the others open an artifact, in the first process; return it."""
        self.broadcast(made.path)
        return made

    def announced(self) -> Artifact:
        """Wait for the first process's artifact and open it, in the others.

        Raises `RookeryError` if the first process reports that there will be none. If it has ended,
        this process ends too: `SystemExit`.
        """
        try:
            path = self.broadcast(None)
        except RuntimeError:
            # killed, or it has reported its own error: this one reports none, so that the launcher
            # may start all again
            sys.exit("The first process of the run has ended, and so this one does.")
        if path is None:
            raise RookeryError("the first process of the run could not go on")
        return open_artifact(path)


class Followers:
    """The processes of a run beside the first, as the first one calls them to take part."""

    def __init__(self, processes: Processes):
        self._processes = processes
        self.are_called = False

    def call(self) -> None:
        """Let them take part in the work: `called` returns True in each."""
        self.are_called = self._processes.broadcast(True)


def single_process() -> Processes:
    """Return a run of this process alone, on this machine's GPU if there is one."""
    return Processes(device=torch.device("cuda" if torch.cuda.is_available() else "cpu"))


@contextmanager
def joined(place: ProcessRank, degrees: Degrees) -> Iterator[Processes]:
    """Join the processes that the launcher started; its environment variables say where they meet.

    Raises `UsageError` unless the degrees multiply to their number, and each has a GPU where there
    are any.
    """
    degrees = resolve_degrees(degrees, place.count)
    device = _device(place)
    if place.count == 1:
        yield Processes(place, degrees, device)
        return
    _init_process_group(place, device)
    has_ended_well = False
    try:
        mesh = _mesh(degrees, device)
        control = dist.new_group(backend="gloo", timeout=PATIENCE)
        yield Processes(place, degrees, device, mesh, control)
        has_ended_well = True
    finally:
        # after an error NCCL would wait for the others, which wait for this process, and the error
        # would never be seen
        if has_ended_well or device.type != "cuda":
            dist.destroy_process_group()
            time.sleep(LETTING_GO_SECONDS)


def _device(place: ProcessRank) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if place.local_rank >= torch.cuda.device_count():
        raise UsageError(
            f"{place.local_rank + 1} processes or more were started on a machine with "
            f"{torch.cuda.device_count()} GPUs",
            hint="Start as many as there are GPUs, each of which sees them all; "
            "CUDA_VISIBLE_DEVICES= hides them",
        )
    return torch.device("cuda", place.local_rank)


def _init_process_group(place: ProcessRank, device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    of_launcher = torch_rendezvous("env://", place.rank, place.count)
    store = rendezvous(next(of_launcher)[0], place.rank, place.count, secrets.token_hex(8))
    dist.init_process_group(backend, store=store, rank=place.rank, world_size=place.count)


def _mesh(degrees: Degrees, device: torch.device) -> DeviceMesh:
    spread = (degrees.shard or 1) * degrees.context
    sizes = (degrees.pipeline, degrees.replicate, spread, degrees.tensor)
    names = ("pipeline", "replicate", "spread", "tensor")
    return init_device_mesh(device.type, sizes, mesh_dim_names=names)
