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
from rookery.model.inference.writing import writable
from rookery.model.shape import ModelShape
from rookery.model.tensors import copy_tensors
from rookery.model.tokenizer import TEMPLATE, Tokenizer, load_tokenizer
from rookery.model.tokens.export import beginning_file
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


def config_of(shape: ModelShape, tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the content of config.json.

    Where transformers 5 renamed a field, both names are given: a reader that knows only the old one
    would silently take rope_theta = 10,000 and another precision.
    """
    return {
        "architectures": ["Qwen3ForCausalLM" if shape.normed else "LlamaForCausalLM"],
        "model_type": "qwen3" if shape.normed else "llama",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.width,
        "intermediate_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_size,
        "max_position_embeddings": shape.context_tokens,
        "rms_norm_eps": shape.norm_epsilon,
        "rope_theta": shape.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
        "tie_word_embeddings": shape.tied,
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": 0.0,
        **({"use_sliding_window": False} if shape.normed else {"mlp_bias": False}),
        "bos_token_id": tokenizer.before_text[0],
        "eos_token_id": list(tokenizer.ends),
        "dtype": "float32",
        "torch_dtype": "float32",
        "use_cache": True,
    }


def generation_config(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the content of generation_config.json: the end tokens, and those never written."""
    never = sorted(set(range(tokenizer.vocabulary)) - set(writable(tokenizer).tolist()))
    return {
        "bos_token_id": tokenizer.before_text[0],
        "eos_token_id": list(tokenizer.ends),
        "pad_token_id": tokenizer.end_of_document,
        "suppress_tokens": never,
    }


def tokenizer_config(shape: ModelShape, tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the content of tokenizer_config.json: the roles of the special tokens."""
    names = {token: name for name, token in tokenizer.special.items()}
    roles = tokenizer.roles
    named = {"bos_token": roles.bos_token, "eos_token": roles.eos_token}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{role: name for role, name in named.items() if name},
        "pad_token": names[tokenizer.end_of_document],
        "model_max_length": shape.context_tokens,
        "clean_up_tokenization_spaces": False,
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
