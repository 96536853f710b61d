"""GGUF: a checkpoint as the one file that llama.cpp, its relatives and OpenVINO GenAI read.

The format is that of the `gguf` package. llama.cpp cuts text by patterns of its own, known by name,
so a tokenizer is written only if its pattern has such a name: else the same text would be other
tokens there, and nobody would notice. Precision: float32, float16, or Q8_0, which stores 32 numbers
of a row as bytes and a float16 scale. Norms stay float32.

Not here: how the file is run, and the other formats (`../export.py`).
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import safe_open

from rookery.core.artifact import Artifact
from rookery.core.errors import DataError, UsageError
from rookery.model.checkpoint import WEIGHTS, load_shape, verify_weights
from rookery.model.layout.tensors import tensor_files
from rookery.model.shape import ModelShape
from rookery.model.tokenizer import Tokenizer, load_tokenizer
from rookery.model.tokens.bpe import PIECES
from rookery.model.tokens.encoding import split_patterns
from rookery.model.tuning.template import template_source

if TYPE_CHECKING:
    from gguf import GGUFWriter

PRECISIONS = ("f32", "f16", "q8_0")
FILE_NAME = "model.gguf"
BLOCK = 32  # numbers that share a scale in Q8_0
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5  # kinds of tokens

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_QWEN35 = r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
_QWEN2 = r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
_LLAMA3 = r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
# llama.cpp's names (src/llama-vocab.cpp) of the steps that a tokenizer.json cuts text by
PRE_TOKENIZERS: Mapping[tuple[str, ...], str] = {
    (PIECES,): "qwen35",
    (_CONTRACTIONS + _QWEN35 + _REST,): "qwen35",
    (_CONTRACTIONS + _QWEN2 + _REST,): "qwen2",
    (_CONTRACTIONS + _LLAMA3 + _REST,): "llama-bpe",
    ("Digits", "ByteLevel"): "smollm",
    ("ByteLevel",): "gpt-2",
}


def write_gguf(checkpoint: Artifact, path: Path, precision: str = "f32") -> None:
    """Write a checkpoint as a GGUF file.

    precision: one of `PRECISIONS`. Raises `DataError` if the checkpoint has changed since it was
    written, or llama.cpp cannot tokenize as its tokenizer does.
    """
    import gguf

    if precision not in PRECISIONS:
        raise UsageError(
            f"GGUF is not written as {precision}", hint=f"Known: {', '.join(PRECISIONS)}"
        )
    shape, tokenizer = load_shape(checkpoint), load_tokenizer(checkpoint)
    verify_weights(checkpoint)
    writer = gguf.GGUFWriter(path, "qwen3" if shape.normed else "llama")
    _add_shape(writer, shape)
    _add_tokenizer(writer, tokenizer)
    if (template := template_source(checkpoint)) is not None:
        writer.add_chat_template(template)
    adopted = checkpoint.manifest.metrics.get("adopted", {})
    writer.add_name(adopted.get("name", f"rookery-{checkpoint.key}"))
    if "licence" in adopted:
        writer.add_license(adopted["licence"])
    writer.add_file_type(
        {"f32": 0, "f16": 1, "q8_0": 7}[precision]  # llama.cpp's numbers of these, llama_ftype
    )
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _write_tensors(writer, path, checkpoint.path, shape, precision)


def pre_tokenizer_of(tokenizer: Tokenizer) -> str:
    """Return llama.cpp's name of how a tokenizer cuts text; `DataError` if it has none."""
    steps = split_patterns(json.loads(tokenizer.file_text))
    if steps not in PRE_TOKENIZERS:
        raise DataError(
            f"llama.cpp cannot cut text as this tokenizer does: pre_tokenizer is {steps!r:.120}",
            hint="So it is with tokenizers of an earlier release: train anew, or export as hf",
        )
    return PRE_TOKENIZERS[steps]


def _add_shape(writer: "GGUFWriter", shape: ModelShape) -> None:
    writer.add_context_length(shape.context_tokens)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_size)
    writer.add_value_length(shape.head_size)
    writer.add_rope_dimension_count(shape.head_size)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_vocab_size(shape.vocabulary)


def _add_tokenizer(writer: "GGUFWriter", tokenizer: Tokenizer) -> None:
    model = json.loads(tokenizer.file_text)["model"]
    names, kinds = _tokens(tokenizer, model["vocab"])
    writer.add_tokenizer_model("gpt2")  # byte-level BPE of any pattern
    writer.add_tokenizer_pre(pre_tokenizer_of(tokenizer))
    writer.add_token_list(names)
    writer.add_token_types(kinds)
    writer.add_token_merges(
        [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    )
    if len(tokenizer.opening) > 1:
        raise DataError(f"a GGUF begins a prompt with one token, not {len(tokenizer.opening)}")
    roles = tokenizer.roles
    end = tokenizer.special.get(roles.eos_token, tokenizer.end_of_document)
    writer.add_bos_token_id(tokenizer.before_text[0])
    writer.add_add_bos_token(bool(tokenizer.opening))
    writer.add_eos_token_id(end)
    writer.add_pad_token_id(tokenizer.end_of_document)
    if others := [token for token in tokenizer.ends if token != end]:
        writer.add_eot_token_id(others[-1])


def _tokens(tokenizer: Tokenizer, vocabulary: Mapping[str, int]) -> tuple[list[str], list[int]]:
    """Return the name of each output of the network, and what kind of token it is."""
    textual = set(tokenizer.textual)
    known = {token: name for name, token in {**vocabulary, **tokenizer.special}.items()}
    names, kinds = [], []
    for token in range(tokenizer.vocabulary):
        is_added = known.get(token) in tokenizer.special
        names.append(known.get(token, f"[unused {token}]"))
        if token in textual:
            kinds.append(USER_DEFINED if is_added else NORMAL)
        else:
            kinds.append(CONTROL if is_added else UNUSED)
    return names, kinds


def _write_tensors(
    writer: "GGUFWriter", path: Path, folder: Path, shape: ModelShape, precision: str
) -> None:
    """Write header and tensors; one tensor is in memory at a time."""
    import gguf

    architecture = gguf.MODEL_ARCH.QWEN3 if shape.normed else gguf.MODEL_ARCH.LLAMA
    name_of = gguf.get_tensor_name_map(architecture, shape.layers).get_name
    for name, size in _sizes(folder):
        kind = _kind(size, precision)
        stored = gguf.quant_shape_to_byte_shape(size, kind) if kind.name == "Q8_0" else size
        dtype = {"F32": np.float32, "F16": np.float16}.get(kind.name, np.uint8)
        count = int(np.prod(stored)) * np.dtype(dtype).itemsize
        own = name_of(name, try_suffixes=(".weight",)) or name
        writer.add_tensor_info(own, stored, np.dtype(dtype), count, raw_dtype=kind)
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name, weight in _weights(folder):
        array = _rotated_as_llama(name, weight, shape)
        writer.write_tensor_data(gguf.quants.quantize(array, _kind(array.shape, precision)))
    writer.close()


def _kind(size: tuple[int, ...], precision: str) -> Any:
    """Return the type that a weight of a size is stored as."""
    import gguf

    kinds = gguf.GGMLQuantizationType
    if len(size) == 1 or precision == "f32":
        return kinds.F32
    return kinds.Q8_0 if precision == "q8_0" and size[1] % BLOCK == 0 else kinds.F16


def _sizes(folder: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    for path in tensor_files(folder, WEIGHTS):
        with safe_open(path, framework="np") as file:
            yield from ((name, tuple(file.get_slice(name).get_shape())) for name in file.keys())


def _weights(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    for path in tensor_files(folder, WEIGHTS):
        with safe_open(path, framework="np") as file:
            yield from ((name, file.get_tensor(name)) for name in file.keys())


def _rotated_as_llama(name: str, weight: np.ndarray, shape: ModelShape) -> np.ndarray:
    """Return a weight with its rows in the order in which llama.cpp's `llama` rotates them.

    It turns neighbours where Hugging Face turns the two halves of a head; its `qwen3` turns halves
    too (LlamaModel.permute of llama.cpp's converter).
    """
    heads = {"q_proj": shape.heads, "k_proj": shape.kv_heads}.get(name.split(".")[-2])
    if shape.normed or heads is None:
        return weight
    halves = weight.reshape(heads, 2, shape.head_size // 2, shape.width)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weight.shape))
