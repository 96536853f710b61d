"""config.json: the shape of a network, read strictly and written back.

A model of another maker is read only if the network computes all that its config asks for. Each key
that changes the computation is checked; a key that is not known here is refused, since what it asks
for would silently not happen.
"""

from collections.abc import Callable, Mapping
from typing import Any

from rookery.core.errors import DataError
from rookery.model.shape import ModelShape
from rookery.model.tokenizer import Tokenizer

QWEN3, LLAMA = "Qwen3ForCausalLM", "LlamaForCausalLM"
ARCHITECTURES = {QWEN3: "qwen3", LLAMA: "llama"}

# keys that name, describe or speed up, and change nothing that is computed for one text
HARMLESS = frozenset(
    "_attn_implementation _commit_hash _from_model_config _model_name_or_path _name_or_path "
    "architectures attention_dropout bos_token_id chunk_size_feed_forward dtype eos_token_id "
    "id2label initializer_range is_decoder is_encoder_decoder is_llama_config label2id "
    "max_window_layers model_type name_or_path output_attentions output_hidden_states pad_token_id "
    "pretraining_tp problem_type return_dict tokenizer_class torch_dtype torchscript "
    "transformers.js_config transformers_version unk_token_id use_cache".split()
)
SIZES = frozenset(
    "vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads "
    "num_key_value_heads head_dim max_position_embeddings rms_norm_eps rope_theta "
    "rope_parameters rope_scaling tie_word_embeddings".split()
)
# what would change the computation, and when it does not
CHECKED: Mapping[str, Callable[[Any], bool]] = {
    "hidden_act": lambda value: value in ("silu", "swish"),
    "layer_types": lambda value: not value or set(value) == {"full_attention"},
    "attention_bias": lambda value: not value,
    "mlp_bias": lambda value: not value,
    "use_sliding_window": lambda value: not value,
    "rope_interleaved": lambda value: not value,
}
_HINT = "The network here computes plain Qwen3 and Llama only"


def shape_of(config: Mapping[str, Any], context_tokens: int) -> ModelShape:
    """Return the shape that a parsed config.json describes, for a context of so many tokens.

    The context is never longer than the model's own. Raises `DataError` with the key of what the
    network does not compute, of what is missing, and of what is not known.
    """
    architecture = _architecture(config)
    _refuse_other_computations(config)
    width, heads = _size(config, "hidden_size"), _size(config, "num_attention_heads")
    return ModelShape(
        vocabulary=_size(config, "vocab_size"),
        width=width,
        layers=_size(config, "num_hidden_layers"),
        heads=heads,
        kv_heads=_size(config, "num_key_value_heads", heads),
        head_size=_size(config, "head_dim", width // heads if architecture == LLAMA else 128),
        hidden=_size(config, "intermediate_size"),
        context_tokens=min(context_tokens, _size(config, "max_position_embeddings")),
        rope_theta=_rope_theta(config),
        norm_epsilon=float(config.get("rms_norm_eps", 1e-6)),
        tied=bool(config.get("tie_word_embeddings", False)),
        normed=architecture == QWEN3,
    )


def config_of(shape: ModelShape, tokenizer: Tokenizer, dtype: str = "float32") -> dict[str, Any]:
    """Return the content of config.json. dtype: torch's name of the weights' precision.

    Where transformers 5 renamed a field, both names are given: a reader that knows only the old one
    would silently take rope_theta = 10,000 and another precision.
    """
    architecture = QWEN3 if shape.normed else LLAMA
    own = {"use_sliding_window": False} if shape.normed else {"mlp_bias": False}
    return {
        "architectures": [architecture],
        "model_type": ARCHITECTURES[architecture],
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
        **own,
        "bos_token_id": tokenizer.before_text[0],
        "eos_token_id": list(tokenizer.ends),
        "dtype": dtype,
        "torch_dtype": dtype,
        "use_cache": True,
    }


def _architecture(config: Mapping[str, Any]) -> str:
    named = config.get("architectures")
    if not isinstance(named, list) or len(named) != 1 or named[0] not in ARCHITECTURES:
        raise _refusal("architectures", named, f"Known: {', '.join(ARCHITECTURES)}")
    return named[0]


def _refuse_other_computations(config: Mapping[str, Any]) -> None:
    for key, value in config.items():
        if key in CHECKED:
            if not CHECKED[key](value):
                raise _refusal(key, value, _HINT)
        elif key == "sliding_window":  # in effect unless it is switched off by its own key
            if value is not None and config.get("use_sliding_window", True):
                raise _refusal(key, value, _HINT)
        elif key not in HARMLESS | SIZES and value not in (None, False):
            raise _refusal(
                key, value, f"{_HINT}; if it changes nothing that is computed, take it out"
            )


def _rope_theta(config: Mapping[str, Any]) -> float:
    """Return the base of the rotary positions; refuse positions that are scaled."""
    theta = config.get("rope_theta")
    for key in ("rope_parameters", "rope_scaling"):
        given = config.get(key) or {}
        if not isinstance(given, Mapping):
            raise _refusal(key, given, _HINT)
        kind = given.get("rope_type", given.get("type", "default"))
        others = given.keys() - {"rope_type", "type", "rope_theta"}
        if kind != "default" or any(given[other] not in (None, 1, 1.0) for other in others):
            raise _refusal(key, dict(given), _HINT)
        theta = given.get("rope_theta", theta)
    return 10_000.0 if theta is None else float(theta)


def _size(config: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = config.get(key)
    value = default if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _refusal(key, value, "It has to be a whole number of at least 1")
    return value


def _refusal(key: str, value: object, hint: str) -> DataError:
    return DataError(f"{key} is {value!r:.80}", hint=hint)
