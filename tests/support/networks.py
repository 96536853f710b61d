"""Networks at hand, with the weights that a run begins with."""

from rookery.model.network import Network
from rookery.model.parallel.placement import place
from rookery.model.parallel.processes import Processes
from rookery.model.shape import ModelShape


def fresh_network(shape: ModelShape, seed: int) -> Network:
    """A network in float32, not yet trained, as a process that is alone has it."""
    return place(shape, seed, Processes()).parts[0]
