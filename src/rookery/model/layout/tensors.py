"""Named tensors on disk, in files of bounded size, in the layout of Hugging Face's tools.

    model.safetensors                       if one file holds all tensors; else
    model-00001-of-00007.safetensors …      as many files as needed, and
    model.safetensors.index.json            the file that holds each tensor

A process writes them file by file and so holds no more than twice `FILE_BYTES`, whatever the size
of the network. Not here: what is written under which name (`checkpoint.py`, `phases.py`).
"""

import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from rookery.core.atomic import write_atomically

FILE_BYTES = 4 << 30  # of tensors in a file; a larger tensor has one of its own
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Stored:
    """Tensors that lie somewhere, and a way to read them.

    bytes_of: the size of each, by name. read: returns the tensors of some names, whole and on the
    CPU.
    """

    bytes_of: Mapping[str, int]
    read: Callable[[Sequence[str]], Mapping[str, Tensor]]

    def renamed(self, name_of: Callable[[str], str | None]) -> "Stored":
        """Return the same tensors under new names, without those whose new name is None."""
        old = {new: name for name in self.bytes_of if (new := name_of(name)) is not None}

        def read(names: Sequence[str]) -> dict[str, Tensor]:
            found = self.read([old[name] for name in names])
            return {name: found[old[name]] for name in names}

        return Stored({new: self.bytes_of[name] for new, name in old.items()}, read)


def write_tensors(folder: Path, name: str, tensors: Stored) -> None:
    """Write tensors into a folder: as the file `name`, or as several that are named after it."""
    groups = list(_by_file(tensors.bytes_of))
    stem = name.removesuffix(SUFFIX)
    several = [
        f"{stem}-{number:05d}-of-{len(groups):05d}{SUFFIX}" for number in range(1, len(groups) + 1)
    ]
    files = several if len(groups) > 1 else [name]
    for file, names in zip(files, groups, strict=True):
        given = {each: tensor.contiguous() for each, tensor in tensors.read(names).items()}
        # not by `save_file`: a process killed in it leaves a temporary file behind, which would be
        # published with the artifact
        write_atomically(folder / file, save(given, {"format": "pt"}))
    if len(groups) > 1:
        holder = {each: file for file, names in zip(files, groups, strict=True) for each in names}
        index = {"metadata": {"total_size": sum(tensors.bytes_of.values())}, "weight_map": holder}
        write_atomically(_index(folder, name), json.dumps(index, indent=1).encode())


def tensor_files(folder: Path, name: str) -> list[Path]:
    """Return the files that hold the tensors written under a name; they need not exist any more."""
    index = _index(folder, name)
    holder = json.loads(index.read_text())["weight_map"] if index.exists() else {"": name}
    return [folder / file for file in sorted(set(holder.values()))]


def stored_tensors(folder: Path, name: str, dtype: torch.dtype = torch.float32) -> Stored:
    """Return the tensors that were written under a name; each is read when it is asked for."""
    holder: dict[str, Path] = {}
    bytes_of: dict[str, int] = {}
    for path in tensor_files(folder, name):
        with safe_open(path, framework="pt") as file:
            for key in file.keys():
                part = file.get_slice(key)
                holder[key] = path
                bytes_of[key] = math.prod(part.get_shape()) * dtype.itemsize

    def read(names: Sequence[str]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for path in {holder[key] for key in names}:
            with safe_open(path, framework="pt") as file:
                kept = [key for key in names if holder[key] == path]
                found |= {key: file.get_tensor(key).to(dtype) for key in kept}
        return found

    return Stored(bytes_of, read)


def copy_tensors(folder: Path, name: str, into: Path) -> None:
    """Copy what was written under a name into another folder."""
    index = _index(folder, name)
    for file in (*tensor_files(folder, name), *([index] if index.exists() else [])):
        shutil.copyfile(file, into / file.name)


def _index(folder: Path, name: str) -> Path:
    """Return the path of the index, which exists only where there are several files."""
    return folder / f"{name}.index.json"


def _by_file(bytes_of: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield the names in their order, as many together as fit into one file; one group at least."""
    names: list[str] = []
    room = FILE_BYTES
    for name, size in bytes_of.items():
        if names and size > room:
            yield names
            names, room = [], FILE_BYTES
        names.append(name)
        room -= size
    yield names
