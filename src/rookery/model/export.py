"""Export: a checkpoint in the Hugging Face layout, which transformers, vLLM and SGLang can load.

They need no code of ours:

    config.json     generation_config.json     model.safetensors
    tokenizer.json  tokenizer_config.json      chat_template.jinja

(Weights beyond 4 GiB are several files with an index, as everywhere in that layout.) The network
has the names and the arithmetic of Qwen3ForCausalLM, so nothing is converted. Other formats (GGUF)
are made from this folder by their own tools.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rookery.core.artifact import Artifact
from rookery.core.atomic import TEMPORARY
from rookery.core.context import Context
from rookery.core.errors import BusyError, StorageError, UsageError
from rookery.core.home import Home
from rookery.core.stage import Stage, Workspace, run_stage
from rookery.model.checkpoint import TOKENIZER, WEIGHTS, load_shape, verify_weights
from rookery.model.layout.config import config_of
from rookery.model.layout.roles import beginning_file, generation_config, tokenizer_config
from rookery.model.tensors import copy_tensors
from rookery.model.tokenizer import TEMPLATE, load_tokenizer
from rookery.model.tuning.template import load_template

STAGE_VERSION = 2


def export(checkpoint: Artifact, folder: Path) -> None:
    """Write a checkpoint into a new folder: whole, or not at all.

    Raises `UsageError` if the folder exists already, `BusyError` if another process is writing it,
    `StorageError` if it cannot be written.
    """
    if folder.exists():
        raise UsageError(
            "the folder of the export exists already",
            where=folder,
            hint="Name a folder that does not exist yet",
        )
    try:
        with _unfinished(folder) as unfinished:
            write_layout(checkpoint, unfinished)
            os.rename(unfinished, folder)
    except OSError as error:
        raise StorageError(
            f"the export cannot be written: {error.strerror}", where=folder
        ) from None


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
            for left_by_a_kill in path.iterdir():
                left_by_a_kill.unlink()
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


def write_layout(checkpoint: Artifact, folder: Path) -> None:
    """Write the files of the layout into a folder."""
    shape, tokenizer = load_shape(checkpoint), load_tokenizer(checkpoint)
    verify_weights(checkpoint)
    copy_tensors(checkpoint.path, WEIGHTS, folder)
    (folder / TOKENIZER).write_text(beginning_file(tokenizer), encoding="utf-8")
    _write_json(folder / "config.json", config_of(shape, tokenizer))
    _write_json(folder / "generation_config.json", generation_config(tokenizer))
    _write_json(folder / "tokenizer_config.json", tokenizer_config(shape, tokenizer))
    (folder / TEMPLATE).write_text(load_template(checkpoint).source, encoding="utf-8")


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
