"""Tensors at hand, for what takes them from a store."""

from collections.abc import Mapping

from torch import Tensor

from rookery.model.layout.tensors import Stored


def held(tensors: Mapping[str, Tensor]) -> Stored:
    """Return a store of tensors that this process holds already."""
    bytes_of = {name: tensor.nbytes for name, tensor in tensors.items()}
    return Stored(bytes_of, lambda names: {name: tensors[name] for name in names})
