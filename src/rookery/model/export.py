"""Export: a checkpoint as files that other programs load without any code of ours.

    hf        config.json     generation_config.json     model.safetensors     chat_template.jinja
              tokenizer.json  tokenizer_config.json      for transformers, vLLM, SGLang
    gguf      model.gguf      for llama.cpp and its relatives, OpenVINO GenAI (`layout/gguf.py`)
    embedder  modules.json    0_StaticEmbedding/         for sentence-transformers

Beside each lies a model card, `README.md` (`layout/card.py`). Weights beyond 4 GiB are several
files with an index, as everywhere in that layout. The network has the names and the arithmetic of
Qwen3ForCausalLM or LlamaForCausalLM, so nothing is converted but the precision.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from rookery.core.artifact import Artifact
from rookery.core.atomic import TEMPORARY
from rookery.core.context import Context
from rookery.core.errors import BusyError, StorageError, UsageError
from rookery.core.home import Home
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.model.checkpoint import TOKENIZER, WEIGHTS, load_shape, verify_weights
from rookery.model.layout.card import FILE as CARD
from rookery.model.layout.card import model_card
from rookery.model.layout.config import config_of
from rookery.model.layout.embedder import write_embedder
from rookery.model.layout.gguf import FILE_NAME, write_gguf
from rookery.model.layout.gguf import PRECISIONS as GGUF_PRECISIONS
from rookery.model.layout.roles import beginning_file, generation_config, tokenizer_config
from rookery.model.layout.tensors import copy_tensors, stored_tensors, write_tensors
from rookery.model.tokenizer import TEMPLATE, load_tokenizer
from rookery.model.tuning.template import template_source

STAGE_VERSION = 2
TORCH_DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
PRECISIONS = {"hf": tuple(TORCH_DTYPES), "gguf": GGUF_PRECISIONS, "embedder": ("f32",)}
"""The formats, and the precisions that each can be written in."""


def export(checkpoint: Artifact, folder: Path, form: str = "hf", precision: str = "f32") -> None:
    """Write a checkpoint into a new folder: whole, or not at all.

    form: one of `PRECISIONS`, which lists what each may have. Raises `UsageError` for another one
    or if the folder exists already, `BusyError` if another process is writing it, `StorageError` if
    it cannot be written.
    """
    _check_form(form, precision)
    if folder.exists():
        raise UsageError(
            "the folder of the export exists already",
            where=folder,
            hint="Name a folder that does not exist yet",
        )
    try:
        with _unfinished(folder) as unfinished:
            _write(checkpoint, unfinished, form, precision)
            card = model_card(checkpoint, form, precision)
            (unfinished / CARD).write_text(card, encoding="utf-8")
            os.rename(unfinished, folder)
    except OSError as error:
        raise StorageError(
            f"the export cannot be written: {error.strerror}", where=folder
        ) from None


def _check_form(form: str, precision: str) -> None:
    if form not in PRECISIONS:
        raise UsageError(f"there is no format {form!r}", hint=f"Known: {', '.join(PRECISIONS)}")
    if precision not in PRECISIONS[form]:
        raise UsageError(
            f"the format {form} is not written as {precision}",
            hint=f"Known: {', '.join(PRECISIONS[form])}",
        )


def _write(checkpoint: Artifact, folder: Path, form: str, precision: str) -> None:
    if form == "gguf":
        write_gguf(checkpoint, folder / FILE_NAME, precision)
    elif form == "embedder":
        write_embedder(checkpoint, folder)
    else:
        write_layout(checkpoint, folder, TORCH_DTYPES[precision])


@contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """Open an empty hidden folder beside the one that is to be made, and remove it afterwards.

    The folder is locked while it is written. One that is found unlocked was left by a killed
    process; it is emptied and used.
    """
    path = folder.with_name(f".{folder.name}{TEMPORARY}")
    path.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            for left in path.iterdir():  # by a kill
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
    except BlockingIOError:
        raise BusyError(
            "another process is writing this export", where=folder, hint="Wait until it is done"
        ) from None
    finally:
        os.close(lock)


def export_stage(home: Home, checkpoint: Artifact, context: Context) -> Artifact:
    """Write a checkpoint in the layout as an artifact of kind `export`, and return it."""
    stage = Stage("export", STAGE_VERSION, {}, {"checkpoint": checkpoint.digest})

    def make(workspace: Workspace) -> dict[str, Any]:
        write_layout(checkpoint, workspace.path)
        return {
            "bytes": sum(path.stat().st_size for path in workspace.path.iterdir() if path.is_file())
        }

    return run_stage(home, stage, make, context)


def write_layout(checkpoint: Artifact, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write the files of the layout into a folder."""
    shape, tokenizer = load_shape(checkpoint), load_tokenizer(checkpoint)
    verify_weights(checkpoint)
    if dtype == torch.float32:
        copy_tensors(checkpoint.path, WEIGHTS, folder)
    else:
        write_tensors(folder, WEIGHTS, stored_tensors(checkpoint.path, WEIGHTS, dtype))
    name = str(dtype).removeprefix("torch.")
    (folder / TOKENIZER).write_text(beginning_file(tokenizer), encoding="utf-8")
    _write_json(folder / "config.json", config_of(shape, tokenizer, name))
    _write_json(folder / "generation_config.json", generation_config(tokenizer))
    _write_json(folder / "tokenizer_config.json", tokenizer_config(shape, tokenizer))
    if (template := template_source(checkpoint)) is not None:
        (folder / TEMPLATE).write_text(template, encoding="utf-8")


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
