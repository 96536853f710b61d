"""Checkpoints: what a trained model is on disk, and how it is read back.

A checkpoint artifact is complete in itself:

    model.safetensors     the weights, float32, under the names of `network.py`
    shape.json            the sizes (`ModelShape`)
    tokenizer.json        a copy of the tokenizer it was trained with
    embedding.safetensors the table of its embedder (`embed.py`)
    optimizer.safetensors what a later phase needs beside the weights (`phases.py`)

Not here: how one is trained (`train.py`), its states while it is (`states.py`), and the Hugging Face
layout (`export.py`).
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from rookery.core.artifact import Artifact, write_atomically
from rookery.core.config import from_plain, to_plain
from rookery.core.errors import DataError
from rookery.model.network import Network
from rookery.model.shape import ModelShape

WEIGHTS, SHAPE, TOKENIZER = "model.safetensors", "shape.json", "tokenizer.json"


def save_network(folder: Path, network: Network) -> None:
    """Write weights and shape into an artifact's folder."""
    weights = {name: tensor.float() for name, tensor in network.state_dict().items()}
    write_atomically(folder / WEIGHTS, save(_on_cpu(weights), {"format": "pt"}))
    write_atomically(folder / SHAPE, json.dumps(to_plain(network.shape), indent=1).encode())


def load_shape(checkpoint: Artifact) -> ModelShape:
    """The sizes of a checkpoint's model; raises `DataError` if shape.json is missing or not a shape."""
    path = checkpoint.file(SHAPE)
    try:
        return from_plain(ModelShape, json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise DataError(f"the shape of a checkpoint cannot be read: {error}", where=path) from None


def load_network(checkpoint: Artifact, dtype: torch.dtype = torch.float32) -> Network:
    """The trained network, ready to be asked (evaluation mode, no gradients).

    Raises `DataError` if the weights cannot be read or are not those of the checkpoint's shape.
    """
    path = checkpoint.file(WEIGHTS)
    network = Network(load_shape(checkpoint))
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise DataError(f"the weights of a checkpoint cannot be used: {error}", where=path) from None
    return network.to(dtype).eval().requires_grad_(False)


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
