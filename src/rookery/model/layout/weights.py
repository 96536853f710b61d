"""The weights of a Hugging Face folder, checked against a shape before one is read.

They may be one file or several, with or without an index, in any floating-point precision; they
come as float32. Not here: how a checkpoint's own weights are written (`tensors.py`).
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from rookery.core.errors import DataError
from rookery.model.layout.tensors import Stored
from rookery.model.network import Network
from rookery.model.shape import ModelShape

PRECISIONS = ("F64", "F32", "F16", "BF16")
# a constant that earlier releases of transformers saved beside the weights
IGNORED = re.compile(r"rotary_emb\.inv_freq$")
_HINT = "Download or copy it again"


def weight_files(folder: Path) -> list[Path]:
    """Return the files with weights; raise `DataError` if there are none."""
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise DataError(
            "there are no weights: no file ends in .safetensors",
            where=folder,
            hint="Weights in pickle files (.bin) are not read; save them as safetensors",
        )
    return found


def stored_weights(folder: Path, shape: ModelShape) -> Stored:
    """Return the weights of a folder under the names of the network.

    Raises `DataError` with the name of a weight that is missing, unknown, or of another size or
    precision, and for a file that is cut short.
    """
    with torch.device("meta"):
        wanted = {name: tuple(weight.shape) for name, weight in Network(shape).state_dict().items()}
    holder = {name: path for path in weight_files(folder) for name in _names(path, wanted, shape)}
    if missing := sorted(wanted.keys() - holder.keys()):
        raise DataError(f"the weight {missing[0]} is missing", where=folder, hint=_HINT)

    def read(names: Sequence[str]) -> dict[str, Tensor]:
        found = {}
        for name in names:
            with _opened(holder[name]) as file:
                found[name] = file.get_tensor(name).to(torch.float32)
        return found

    sizes = {name: 4 * torch.Size(wanted[name]).numel() for name in wanted}
    return Stored(sizes, read)


def _names(path: Path, wanted: dict[str, tuple[int, ...]], shape: ModelShape) -> Iterator[str]:
    """Yield the weights of a file; refuse one that the network has no place for."""
    with _opened(path) as file:
        for name in file.keys():
            # with tied embeddings the output matrix is the embedding, whatever is saved beside it
            if IGNORED.search(name) or (shape.tied and name == "lm_head.weight"):
                continue
            if name not in wanted:
                raise DataError(f"the network has no weight {name}", where=path)
            found = file.get_slice(name)
            if (size := tuple(found.get_shape())) != wanted[name]:
                raise DataError(
                    f"the weight {name} has the size {size}, and config.json asks for "
                    f"{wanted[name]}",
                    where=path,
                )
            if found.get_dtype() not in PRECISIONS:
                raise DataError(
                    f"the weight {name} is stored as {found.get_dtype()}",
                    where=path,
                    hint=f"Read are {', '.join(PRECISIONS)}; quantised weights are not",
                )
            yield name


@contextmanager
def _opened(path: Path):
    """Open a file of weights; raise `DataError` if it is cut short or none."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise DataError(f"the weights cannot be read: {error}", where=path, hint=_HINT) from None
