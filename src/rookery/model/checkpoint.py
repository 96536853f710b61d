"""Checkpoints: what a trained model is on disk, and how it is read back.

A checkpoint artifact is complete in itself:

    model.safetensors     the weights, float32, under the names of `network.py`
    shape.json            the sizes (`ModelShape`)
    tokenizer.json        a copy of the tokenizer it was trained with
    embedding.safetensors the table of its embedder (`embed.py`)
    optimizer.safetensors what a later phase needs beside the weights (`phases.py`)

Weights and optimizer of a large network are several files each (`tensors.py`). Not here: how one is
trained (`train.py`), its states while it is (`states.py`), and the Hugging Face layout
(`export.py`).
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from rookery.core.artifact import Artifact, write_atomically
from rookery.core.config import from_plain, to_plain
from rookery.core.errors import DataError
from rookery.model.network import Network
from rookery.model.shape import ModelShape
from rookery.model.tensors import Stored, tensor_files, write_tensors

WEIGHTS, SHAPE, TOKENIZER = "model.safetensors", "shape.json", "tokenizer.json"
_MEND = "Restore it from a copy, or remove the checkpoint's folder and train anew"


def save_network(folder: Path, shape: ModelShape, weights: Stored) -> None:
    """Write a network's weights (float32), under their names in it, and its shape into an
    artifact's folder.
    """
    write_tensors(folder, WEIGHTS, weights)
    write_atomically(folder / SHAPE, json.dumps(to_plain(shape), indent=1).encode())


def load_shape(checkpoint: Artifact) -> ModelShape:
    """The sizes of a checkpoint's model; raises `DataError` if shape.json is not what was written,
    or no shape.
    """
    path = checkpoint.file(SHAPE)
    checkpoint.verify([SHAPE])
    try:
        return from_plain(ModelShape, json.loads(path.read_text()))
    except (OSError, ValueError, DataError) as error:
        raise DataError(
            f"the shape of a checkpoint cannot be read: {error}", where=path, hint=_MEND
        ) from None


def load_network(checkpoint: Artifact, dtype: torch.dtype = torch.float32) -> Network:
    """The trained network, ready to be asked (evaluation mode, no gradients).

    Raises `DataError` if the weights are not what was written, or not those of the checkpoint's
    shape.
    """
    network, weights = Network(load_shape(checkpoint)), {}
    verify_weights(checkpoint)
    try:
        for file in tensor_files(checkpoint.path, WEIGHTS):
            weights |= load_file(file)
        network.load_state_dict(weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        where = checkpoint.file(WEIGHTS)
        raise DataError(
            f"the weights of a checkpoint cannot be used: {error}", where=where, hint=_MEND
        ) from None
    return network.to(dtype).eval().requires_grad_(False)


def verify_weights(checkpoint: Artifact) -> None:
    """Raises `DataError` if the weights are not what was written: with a flipped bit they would
    still write text.
    """
    checkpoint.verify([file.name for file in tensor_files(checkpoint.path, WEIGHTS)])
