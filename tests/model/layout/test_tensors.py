"""Tensors on disk: several files of bounded size hold what one would, and all of it is found."""

import json
import os
import subprocess
import sys
import time

import pytest
import torch
from disk import full_disk
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from rookery.core.atomic import TEMPORARY
from rookery.core.errors import StorageError
from rookery.model.layout import tensors
from rookery.model.layout.tensors import Stored, copy_tensors, tensor_files, write_tensors
from tests.support.tensors import held

NAME = "model.safetensors"
PATH = os.pathsep.join(sys.path)


def read_back(folder):
    return {
        name: tensor
        for file in tensor_files(folder, NAME)
        for name, tensor in load_file(file).items()
    }


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(16, 100))
def test_files_are_bounded_and_hold_every_tensor_once(tmp_path_factory, sizes, most_bytes):
    written = {
        f"w{number}": torch.full((size,), float(number)) for number, size in enumerate(sizes)
    }
    folder, asked = tmp_path_factory.mktemp("tensors"), []

    def read(names):
        asked.append(names)
        return {name: written[name] for name in names}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensors, "FILE_BYTES", most_bytes)
        write_tensors(folder, NAME, Stored(held(written).bytes_of, read))
    assert [name for names in asked for name in names] == list(written)
    assert all(
        len(names) <= 1 or sum(written[name].nbytes for name in names) <= most_bytes
        for names in asked
    )
    assert len(tensor_files(folder, NAME)) == len(asked)
    found = read_back(folder)
    assert found.keys() == written.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in written.items())


def test_what_fits_into_one_file_is_one_without_an_index(tmp_path):
    write_tensors(tmp_path, NAME, held({"a": torch.ones(3)}))
    assert [file.name for file in tmp_path.iterdir()] == [NAME]


def test_several_files_are_named_as_others_read_them_and_copied_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(tensors, "FILE_BYTES", 8)
    folder, copied = tmp_path / "folder", tmp_path / "copied"
    folder.mkdir(), copied.mkdir()
    write_tensors(folder, NAME, held({"a": torch.ones(2), "b": torch.zeros(1)}))
    index = json.loads((folder / f"{NAME}.index.json").read_text())
    holder = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    assert index == {"metadata": {"total_size": 12}, "weight_map": holder}
    copy_tensors(folder, NAME, copied)
    assert read_back(copied).keys() == {"a", "b"}


def test_names_are_changed_and_left_out(tmp_path):
    stored = held({"m.a": torch.ones(2), "m.b": torch.zeros(1), "n": torch.zeros(5)})
    own = stored.renamed(lambda name: name.removeprefix("m.") if name.startswith("m.") else None)
    assert own.bytes_of == {"a": 8, "b": 4}
    assert torch.equal(own.read(["a"])["a"], torch.ones(2))


def test_a_kill_leaves_nothing_that_would_be_published(tmp_path):
    code = (
        "import sys, torch; from rookery.model.layout.tensors import Stored, write_tensors; from "
        "pathlib import Path; "
    )
    code += (
        "big = {f't{n}': torch.zeros(1 << 24) for n in range(8)}; stored = "
        "Stored(dict.fromkeys(big, 1 << 26), "
    )
    code += "lambda names: big); write_tensors(Path(sys.argv[1]), 'model.safetensors', stored)"
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], env=os.environ | {"PYTHONPATH": PATH}
    ) as writer:
        while not list(tmp_path.iterdir()) and writer.poll() is None:
            time.sleep(0.001)
        writer.kill()
    assert [path for path in tmp_path.iterdir() if not path.name.endswith(TEMPORARY)] == []


def test_a_full_disk_is_one_clear_line_and_leaves_no_file(tmp_path):
    with full_disk(1000), pytest.raises(OSError, match="too large") as refused:
        write_tensors(tmp_path, NAME, held({"a": torch.ones(10_000)}))
    line = StorageError.of(refused.value).line()  # as the command prints it
    assert line == f"the disk cannot be written ({tmp_path / NAME}). Free some space"
    assert list(tmp_path.iterdir()) == []
