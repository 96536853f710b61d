"""Checkpoints: what a trained model is on disk, and how it is read back.

A checkpoint artifact is complete in itself:

    model.safetensors     the weights, float32, under the names of `network.py`
    shape.json            the sizes (`ModelShape`)
    tokenizer.json        a copy of the tokenizer it was trained with
    embedding.safetensors the table of its embedder (`embed.py`)

While it is trained, its states lie in the stage's scratch folder, `step-00000100/` and so on: a
`state.safetensors`, and `state.json` with its digest, written last. The newest that is whole counts.

Not here: how one is trained (`train.py`), and the Hugging Face layout (`export.py`).
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from rookery.core.artifact import Artifact, write_atomically
from rookery.core.config import from_plain, to_plain
from rookery.core.digest import digest_bytes, digest_file
from rookery.core.errors import DataError
from rookery.model.network import Network
from rookery.model.shape import ModelShape

WEIGHTS, SHAPE, TOKENIZER = "model.safetensors", "shape.json", "tokenizer.json"
STATE, STATE_NOTE = "state.safetensors", "state.json"
KEPT_STATES = 2  # the newest, and the one before it in case the newest is damaged


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


def save_state(scratch: Path, step: int, state: Mapping[str, Tensor]) -> None:
    """Save what training needs to go on after `step` steps; older states but one are removed afterwards."""
    folder = scratch / f"step-{step:08d}"
    folder.mkdir(exist_ok=True)
    data = save(_on_cpu(state))
    write_atomically(folder / STATE, data)
    write_atomically(folder / STATE_NOTE, json.dumps({"step": step, "digest": digest_bytes(data)}).encode())
    for old in _states(scratch)[KEPT_STATES:]:
        shutil.rmtree(old)


def newest_state(scratch: Path) -> tuple[int, dict[str, Tensor]] | None:
    """The step and the state of the newest save that is whole, or None if there is none."""
    for folder in _states(scratch):
        try:
            note = json.loads((folder / STATE_NOTE).read_text())
            if digest_file(folder / STATE) == note["digest"]:
                return note["step"], load_file(folder / STATE)
        except (OSError, ValueError):
            continue  # killed while it was written: the one before it is whole
    return None


def _states(scratch: Path) -> list[Path]:
    """The folders of saved states, newest first."""
    return sorted(scratch.glob("step-*"), reverse=True)


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
