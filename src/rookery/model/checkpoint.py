"""Checkpoints: the files of a trained model, and how they are written and read back.

A checkpoint artifact is complete in itself:

    model.safetensors     the weights, float32, under the names of `network.py`
    shape.json            the sizes (`ModelShape`)
    tokenizer.json        a copy of the tokenizer that it was trained with
    embedding.safetensors the table of its embedder (`embed.py`)
    optimizer.safetensors what a later phase needs besides the weights (`phases.py`)

The weights and the optimizer of a large network are several files each (`layout/tensors.py`). Not
here: how a model is trained (`train.py`), the states that a run saves on the way (`states.py`), and
the Hugging Face layout (`export.py`).
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from rookery.core.artifact import Artifact
from rookery.core.atomic import write_atomically
from rookery.core.config import from_plain, to_plain
from rookery.core.errors import DataError
from rookery.model.layout.tensors import Stored, tensor_files, write_tensors
from rookery.model.network import Network
from rookery.model.shape import ModelShape

WEIGHTS, SHAPE, TOKENIZER = "model.safetensors", "shape.json", "tokenizer.json"
_HINT = "Restore it from a copy, or remove the checkpoint's folder and train anew"


def save_network(folder: Path, shape: ModelShape, weights: Stored) -> None:
    """Write the weights (float32) and the shape of a network into an artifact's folder.

    weights: under the names that they have in the network.
    """
    write_tensors(folder, WEIGHTS, weights)
    write_atomically(folder / SHAPE, json.dumps(to_plain(shape), indent=1).encode())


def load_shape(checkpoint: Artifact) -> ModelShape:
    """Return the sizes of a checkpoint's model.

    Raises `DataError` if shape.json has changed since it was written, or is no shape.
    """
    path = checkpoint.file(SHAPE)
    checkpoint.verify([SHAPE])
    try:
        return from_plain(ModelShape, json.loads(path.read_text()))
    except (OSError, ValueError, DataError) as error:
        raise DataError(
            f"the shape of a checkpoint cannot be read: {error}", where=path, hint=_HINT
        ) from None


def load_network(checkpoint: Artifact, dtype: torch.dtype = torch.float32) -> Network:
    """Return the trained network, ready for use (evaluation mode, no gradients).

    Raises `DataError` if the weights have changed since they were written, or do not fit the
    checkpoint's shape.
    """
    network = Network(load_shape(checkpoint))
    weights: dict[str, torch.Tensor] = {}
    verify_weights(checkpoint)
    try:
        for file in tensor_files(checkpoint.path, WEIGHTS):
            weights |= load_file(file)
        network.load_state_dict(weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        where = checkpoint.file(WEIGHTS)
        raise DataError(
            f"the weights of a checkpoint cannot be used: {error}", where=where, hint=_HINT
        ) from None
    return network.to(dtype).eval().requires_grad_(False)


def verify_weights(checkpoint: Artifact) -> None:
    """Raise `DataError` if the weights have changed since they were written.

    A network with a flipped bit would still generate text, so nobody would notice.
    """
    checkpoint.verify([file.name for file in tensor_files(checkpoint.path, WEIGHTS)])
